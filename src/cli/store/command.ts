// `emqttd store`: looks at the durable state, copies it, moves it between engines. What does the work is loaded only when it is asked for.
// Invariant: exit 0 when all is well, 74 when the store is not, 2 for what an engine cannot do.
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { LoadedSettings } from "../../config/loadSettings.ts"
import type { ExitWith } from "../Exit.ts"

const file = (name: string, description: string) => Argument.String(name).pipe(Argument.withDescription(description))

/** `settings`: which engine, and where. */
export const storeCommand = <R>(settings: Effect.Effect<LoadedSettings, ExitWith, R>) => {
  const jobs = Effect.promise(() => import("./jobs.ts"))
  const place = Effect.map(settings, (loaded) => loaded.settings)

  const check = Command.make("check", {}, () =>
    Effect.gen(function* () {
      yield* (yield* jobs).check(yield* place)
    })).pipe(
      Command.withDescription(
        "Read every row: exit 0 when all is whole, 74 with what is damaged. Also while the broker runs"
      )
    )

  const stats = Command.make("stats", {
    json: Flag.Boolean("json").pipe(Flag.withDescription("JSON, for programs"), Flag.withDefault(false))
  }, ({ json }) =>
    Effect.gen(function* () {
      yield* (yield* jobs).stats(yield* place, json)
    })).pipe(Command.withDescription("How much is stored. Also while the broker runs"))

  const backup = Command.make(
    "backup",
    { file: file("file", "Where the copy goes; it must not be there yet") },
    ({ file }) =>
      Effect.gen(function* () {
        yield* (yield* jobs).backup(yield* place, file)
      })
  ).pipe(
    Command.withDescription("Copy the database as of one moment, also while the broker runs (sqlite)"),
    Command.withExamples([{ command: "emqttd store backup /backup/emqttd.sqlite" }])
  )

  const restore = Command.make(
    "restore",
    { file: file("file", "What `backup` made") },
    ({ file }) =>
      Effect.gen(function* () {
        yield* (yield* jobs).restore(yield* place, file)
      })
  ).pipe(
    Command.withDescription(
      "Put a backup in the place of the database, which is kept beside it; the broker must be stopped (sqlite)"
    )
  )

  const exportTo = Command.make(
    "export",
    { file: file("file", "Where it goes (stdout)").pipe(Argument.optional) },
    ({ file }) =>
      Effect.gen(function* () {
        yield* (yield* jobs).exportTo(yield* place, Option.getOrUndefined(file))
      })
  ).pipe(
    Command.withDescription("Write everything as lines of JSON, the same for every engine. Also while the broker runs"),
    Command.withExamples([
      { command: "emqttd store export > store.ndjson", description: "From SQLite" },
      { command: "emqttd store import store.ndjson --config postgres.toml", description: "into PostgreSQL" }
    ])
  )

  const importFrom = Command.make(
    "import",
    { file: file("file", "What `export` wrote") },
    ({ file }) =>
      Effect.gen(function* () {
        yield* (yield* jobs).importFrom(yield* place, file)
      })
  ).pipe(Command.withDescription("Fill an empty store from an export; the broker must be stopped"))

  return Command.make("store").pipe(
    Command.withDescription("Look at the durable state, copy it, move it to another engine"),
    Command.withSubcommands([check, stats, backup, restore, exportTo, importFrom])
  )
}
