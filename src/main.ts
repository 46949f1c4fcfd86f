// The door: runs the command line.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { main } from "./cli/Emqttd.ts"
import { teardown } from "./cli/teardown.ts"

NodeRuntime.runMain(main, { teardown })
