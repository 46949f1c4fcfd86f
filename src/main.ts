// The door: runs the command line and turns how it ended into an exit code.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Cause, Exit, Runtime } from "effect"
import { main } from "./cli/Emqttd.ts"

// A signal interrupts: that is an orderly end, and 130 would be a failure to systemd and Docker.
const teardown: Runtime.Teardown = (exit, onExit) =>
  Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? onExit(0) : Runtime.defaultTeardown(exit, onExit)

NodeRuntime.runMain(main, { teardown })
