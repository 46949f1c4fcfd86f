// `emqttd ctl bans`: who may not come in, until when and why.
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { ExitWith } from "../Exit.ts"
import type { Target } from "./session.ts"

const kinds = ["client", "user", "address"] as const

const kind = Argument.Literals("kind", kinds).pipe(
  Argument.withDescription("Whether a client id, a user name or an address follows")
)
const value = Argument.String("value").pipe(
  Argument.withDescription("The name as clients give it; an address, or a network as in 10.0.0.0/8")
)

export const bansCommand = <R>(
  target: Effect.Effect<Target, ExitWith, R>,
  limit: Flag.Flag<Option.Option<number>>
) => {
  const questions = Effect.promise(() => import("./bans.ts"))

  const list = Command.make("list", { limit }, ({ limit }) =>
    Effect.gen(function* () {
      yield* (yield* questions).bansList(yield* target, Option.getOrUndefined(limit))
    })).pipe(Command.withDescription("Who is banned, until when, by whom and why"))

  const add = Command.make("add", {
    kind,
    value,
    span: Flag.String("for").pipe(
      Flag.withMetavar("DURATION"),
      Flag.withDescription('How long, as in "30m", "12h" or "7d"; without it: until it is removed'),
      Flag.optional
    ),
    reason: Flag.String("reason").pipe(
      Flag.withMetavar("TEXT"),
      Flag.withDescription("For those who read the list; clients are not told"),
      Flag.withDefault("")
    )
  }, ({ kind, reason, span, value }) =>
    Effect.gen(function* () {
      yield* (yield* questions).banAdd(yield* target, { kind, value, reason, span: Option.getOrUndefined(span) })
    })).pipe(
      Command.withDescription(
        "Ban somebody: who is connected is sent away (bans.drop_connected), the next CONNECT gets 0x8A"
      ),
      Command.withExamples([
        { command: "emqttd ctl bans add client meter-17 --for 1h --reason 'floods'" },
        { command: "emqttd ctl bans add address 203.0.113.0/24", description: "A whole network, until it is removed" }
      ])
    )

  const remove = Command.make("remove", { kind, value }, ({ kind, value }) =>
    Effect.gen(function* () {
      yield* (yield* questions).banRemove(yield* target, kind, value)
    })).pipe(Command.withDescription("Let somebody in again"))

  return Command.make("bans").pipe(
    Command.withDescription("Who may not come in"),
    Command.withSubcommands([list, add, remove])
  )
}
