// The command line as data: the help of emqttd and of every subcommand, from the definition that parses it.
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import { CliConfig, CliOutput, Command, type HelpDoc } from "effect/cli"
import { cliConfig, emqttd } from "../../src/cli/Emqttd.ts"

/** What `emqttd <path> --help` would show. */
const helpDocOf = Effect.fnUntraced(function* (path: ReadonlyArray<string>) {
  let doc: HelpDoc.HelpDoc | undefined
  const presenter: CliOutput.Presenter = {
    present: (event) =>
      Effect.sync(() => {
        if (event._tag === "Help") doc = event.helpDoc
      })
  }
  yield* Command.runWith(emqttd, { version: "0" })([...path, "--help"]).pipe(
    Effect.provideService(CliOutput.Presenter, presenter),
    Effect.provideService(CliConfig.CliConfig, cliConfig),
    Effect.exit
  )
  if (doc === undefined) return yield* Effect.die(new Error(`emqttd ${path.join(" ")} has no help`))
  return doc
})

/** The root first, then each subcommand before its own. */
const walk: (path: ReadonlyArray<string>) => Effect.Effect<
  ReadonlyArray<HelpDoc.HelpDoc>,
  never,
  NodeServices.NodeServices
> = Effect
  .fnUntraced(function* (path) {
    const doc = yield* helpDocOf(path)
    const docs = [doc]
    for (const group of doc.subcommands ?? []) {
      for (const { name } of group.commands) docs.push(...(yield* walk([...path, name])))
    }
    return docs
  })

export const helpDocs: Effect.Effect<ReadonlyArray<HelpDoc.HelpDoc>> = walk([]).pipe(Effect.provide(NodeServices.layer))
