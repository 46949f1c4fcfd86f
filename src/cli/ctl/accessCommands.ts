// `emqttd ctl users` and `emqttd ctl acl`: the users and the rules that the node keeps itself, as commands with their help.
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { ExitWith } from "../Exit.ts"
import type { Target } from "./session.ts"

const condition = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.optional)

const number = (name: string, description: string) => Argument.Int(name).pipe(Argument.withDescription(description))

const userName = Argument.String("name").pipe(
  Argument.withDescription("The user name (the client id with auth_users.key)")
)

export const usersCommand = <R>(target: Effect.Effect<Target, ExitWith, R>) => {
  const questions = Effect.promise(() => import("./accessQuestions.ts"))
  const whence = "The password is asked for, or is the first line of standard input"

  const list = Command.make("list", {
    limit: Flag.Int("limit").pipe(
      Flag.withMetavar("N"),
      Flag.withDescription("Show at most so many (1,000; 10,000 is the most)"),
      Flag.optional
    ),
    after: Flag.String("after").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("Go on behind this one"),
      Flag.optional
    )
  }, ({ after, limit }) =>
    Effect.gen(function* () {
      yield* (yield* questions).usersList(yield* target, Option.getOrUndefined(after), Option.getOrUndefined(limit))
    })).pipe(Command.withDescription("The users that the node keeps, by name"))

  const add = Command.make("add", {
    name: userName,
    superuser: Flag.Boolean("superuser").pipe(
      Flag.withDescription("No access rule holds for this user"),
      Flag.withDefault(false)
    )
  }, ({ name, superuser }) =>
    Effect.gen(function* () {
      yield* (yield* questions).userAdd(yield* target, name, superuser)
    })).pipe(
      Command.withDescription(`Add a user. ${whence}`),
      Command.withExamples([
        { command: "emqttd ctl users add bob" },
        { command: "emqttd ctl users add meter-17 < password.txt", description: "From a file" }
      ])
    )

  const kick = Flag.Boolean("kick").pipe(
    Flag.withDescription("Send away who is connected as this user"),
    Flag.withDefault(false)
  )

  const password = Command.make("password", { name: userName, kick }, ({ kick, name }) =>
    Effect.gen(function* () {
      yield* (yield* questions).userPassword(yield* target, name, kick)
    })).pipe(Command.withDescription(`Give a user another password. ${whence}`))

  const remove = Command.make("delete", { name: userName, kick }, ({ kick, name }) =>
    Effect.gen(function* () {
      yield* (yield* questions).userDelete(yield* target, name, kick)
    })).pipe(Command.withDescription("Take a user away; who is connected stays, unless --kick says otherwise"))

  return Command.make("users").pipe(
    Command.withDescription(`Users that the node keeps: what "users" of authentication.links asks`),
    Command.withSubcommands([list, add, password, remove])
  )
}

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

  const reload = Command.make("reload", {}, () =>
    Effect.gen(function* () {
      yield* (yield* questions).rulesReload(yield* target)
    })).pipe(
      Command.withDescription(
        "Read the files of authorization.sources again; with a fault in them the rules from before stay"
      )
    )

  return Command.make("acl").pipe(
    Command.withDescription(
      `Access rules: the files read again; the rules that the node keeps, which { type = "built_in" } of authorization.sources asks`
    ),
    Command.withSubcommands([reload, list, add, remove])
  )
}
