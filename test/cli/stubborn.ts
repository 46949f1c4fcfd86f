// A program for start.test.ts: the real start of the command line over a broker that misbehaves as its first argument
// says.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
import { type RunningBroker, start } from "../../src/cli/start.ts"
import { defaultSettings } from "../../src/config/Settings.ts"
import { teardown } from "../../src/cli/teardown.ts"

const [misbehaviour = "", dataDir = ""] = process.argv.slice(2)

const broker: RunningBroker = {
  addresses: [],
  reload: () => Effect.succeed({ faults: [], need_restart: [] }),
  reloadSettings: Effect.succeed({ faults: [], need_restart: [] }),
  shutdown: misbehaviour === "never-shuts-down" ? Effect.never : Effect.void,
  run: misbehaviour === "crashes" ? Effect.fail("router crashed 11 times in 10 s") : Effect.never
}

const settings = {
  ...defaultSettings,
  node: { ...defaultSettings.node, dataDir, shutdownTimeoutMillis: misbehaviour === "never-shuts-down" ? 300 : 0 }
}

const loaded = { settings, file: undefined }

const startBroker = Effect.fnUntraced(function* () {
  if (misbehaviour === "never-ends") yield* Effect.addFinalizer(() => Effect.never)
  if (misbehaviour === "has-no-disk") return yield* Effect.fail({ message: "the disk is full", exitCode: 74 })
  if (misbehaviour === "waits-to-start") {
    yield* Effect.logInfo("waiting")
    return yield* Effect.never
  }
  return broker
})

NodeRuntime.runMain(start(startBroker, loaded, Effect.succeed(loaded), "0.0.0"), { teardown })
