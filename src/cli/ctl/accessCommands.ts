// `emqttd ctl acl`: the rules that the node keeps itself, as commands with their help.
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { ExitWith } from "../Exit.ts"
import type { Target } from "./session.ts"

const condition = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.optional)

const number = (name: string, description: string) => Argument.Int(name).pipe(Argument.withDescription(description))

/** `target`: which node. What asks it is loaded only then. */
export const aclCommand = <R>(target: Effect.Effect<Target, ExitWith, R>) => {
  const questions = Effect.promise(() => import("./accessQuestions.ts"))

  const list = Command.make("list", {}, () =>
    Effect.gen(function* () {
      yield* (yield* questions).rulesList(yield* target)
    })).pipe(Command.withDescription("The rules in the order in which they are asked, each with its number"))

  const add = Command.make("add", {
    effect: Argument.Literals("effect", ["allow", "deny"]).pipe(Argument.withDescription("What the rule says")),
    action: Argument.Literals("action", ["publish", "subscribe", "pubsub"]).pipe(
      Argument.withDescription("To whom publishes, subscribes or both")
    ),
    topics: Argument.String("topic").pipe(
      Argument.withDescription("Topic filters, with %u and %c; none: every topic"),
      Argument.variadic()
    ),
    user: condition("user", "NAME", "Of this user alone"),
    client: condition("client", "ID", "Of this client id alone"),
    address: condition("address", "NETWORK", "From there alone, as 10.0.0.0/8"),
    listener: condition("listener", "NAME", "Through this listener alone"),
    before: Flag.Int("before").pipe(
      Flag.withMetavar("NUMBER"),
      Flag.withDescription("Before this rule; without it the new one is the last"),
      Flag.optional
    )
  }, ({ before, ...rule }) =>
    Effect.gen(function* () {
      const { address, client, listener, user } = rule
      yield* (yield* questions).ruleAdd(yield* target, {
        effect: rule.effect,
        action: rule.action,
        topics: rule.topics.length === 0 ? undefined : rule.topics,
        user: Option.getOrUndefined(user),
        client: Option.getOrUndefined(client),
        address: Option.getOrUndefined(address),
        listener: Option.getOrUndefined(listener)
      }, Option.getOrUndefined(before))
    })).pipe(
      Command.withDescription("Add a rule; it holds from the next packet on and is kept in the store"),
      Command.withExamples([
        { command: "emqttd ctl acl add allow pubsub 'home/%u/#' --user bob" },
        { command: "emqttd ctl acl add deny subscribe '#' --before 1", description: "Asked first" },
        { command: "emqttd ctl acl add deny pubsub", description: "Whatever no rule before it allows" }
      ])
    )

  const remove = Command.make(
    "remove",
    { number: number("number", "As `acl list` gives it") },
    ({ number }) =>
      Effect.gen(function* () {
        yield* (yield* questions).ruleRemove(yield* target, number)
      })
  ).pipe(Command.withDescription("Take a rule away"))

  return Command.make("acl").pipe(
    Command.withDescription(`Rules that the node keeps: what { type = "built_in" } of authorization.sources asks`),
    Command.withSubcommands([list, add, remove])
  )
}
