// `emqttd ctl`: which questions there are and what their help says. The client and HTTP are loaded only when one is asked.
// Invariant: exit 0 when the node did or is what was asked, 1 when it says no, 69 when it cannot be reached.
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { LoadedSettings } from "../../config/loadSettings.ts"
import type { ExitWith } from "../Exit.ts"
import { aclCommand, usersCommand } from "./accessCommands.ts"
import { clusterCommand } from "./clusterCommands.ts"
import { bansCommand } from "./bansCommand.ts"

const shared = Command.make("ctl").pipe(
  Command.withSharedFlags({
    socket: Flag.String("socket").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("Socket of the node (admin.socket in the data directory: --data, --config)"),
      Flag.optional
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("JSON, for programs"), Flag.withDefault(false))
  })
)

const limit = Flag.Int("limit").pipe(
  Flag.withMetavar("N"),
  Flag.withDescription("Show at most so many (10,000 is the most)"),
  Flag.optional
)

/** `settings` reads what the flags of `emqttd` itself say; it is asked only when --socket does not say all. */
export const ctlCommand = <R>(settings: Effect.Effect<LoadedSettings, ExitWith, R>) => {
  const target = Effect.gen(function* () {
    const { json, socket } = yield* shared
    if (Option.isSome(socket)) return { json, socket: socket.value }
    const loaded = yield* settings
    const { otherSockets, socketOf } = yield* Effect.promise(() => import("./session.ts"))
    return { json, socket: yield* socketOf(loaded.settings), others: otherSockets(loaded.settings) }
  })
  const questions = Effect.promise(() => import("./questions.ts"))

  const status = Command.make("status", {}, () =>
    Effect.gen(function* () {
      yield* (yield* questions).status(yield* target)
    })).pipe(
      Command.withDescription("How the node is: exit 0 when it is well, 1 when it is not, 69 when it does not answer"),
      Command.withExamples([
        { command: "emqttd ctl status", description: "The node of ./emqttd.toml, or of ./data" },
        { command: "emqttd ctl status --socket /var/lib/emqttd/emqttd.sock --json", description: "For a health check" }
      ])
    )

  const tree = Command.make("tree", { limit }, ({ limit }) =>
    Effect.gen(function* () {
      yield* (yield* questions).tree(yield* target, Option.getOrUndefined(limit))
    })).pipe(
      Command.withDescription("The supervision tree: what runs, what was restarted and how often"),
      Command.withExamples([
        { command: "emqttd ctl tree", description: "Of many sessions and connections the first ten" },
        { command: "emqttd ctl tree --limit 0", description: "The parts alone" }
      ])
    )

  const counters = Command.make("counters", {}, () =>
    Effect.gen(function* () {
      yield* (yield* questions).counters(yield* target)
    })).pipe(
      Command.withDescription("What was counted since the start, one a line"),
      Command.withExamples([{ command: "emqttd ctl counters | grep dropped", description: "What was lost, and why" }])
    )

  const reload = Command.make("reload", {}, () =>
    Effect.gen(function* () {
      yield* (yield* questions).reload(yield* target)
    })).pipe(
      Command.withDescription(
        "Read the settings, rules and certificates again, as SIGHUP does: faults are printed, exit 1"
      ),
      Command.withExamples([{ command: "emqttd ctl reload", description: "After a change of the file" }])
    )

  const listenersList = Command.make("list", {}, () =>
    Effect.gen(function* () {
      yield* (yield* questions).listenersList(yield* target)
    })).pipe(Command.withDescription("Every listener with its address and its clients"))

  const name = Argument.String("name").pipe(Argument.withDescription("As in [listeners.<name>]"))

  const listenersStart = Command.make("start", { name }, ({ name }) =>
    Effect.gen(function* () {
      yield* (yield* questions).listenerStart(yield* target, name)
    })).pipe(Command.withDescription("Open a listener, also one that the settings leave closed"))

  const listenersStop = Command.make("stop", { name }, ({ name }) =>
    Effect.gen(function* () {
      yield* (yield* questions).listenerStop(yield* target, name)
    })).pipe(
      Command.withDescription("Close a listener until it is started again: MQTT 5 clients get DISCONNECT 0x98")
    )

  const listeners = Command.make("listeners").pipe(
    Command.withDescription("Where clients come in"),
    Command.withExamples([{ command: "emqttd ctl listeners stop tcp", description: "Nobody without TLS any more" }]),
    Command.withSubcommands([listenersList, listenersStart, listenersStop])
  )

  const clientsList = Command.make("list", { limit }, ({ limit }) =>
    Effect.gen(function* () {
      yield* (yield* questions).clientsList(yield* target, Option.getOrUndefined(limit))
    })).pipe(
      Command.withDescription("The connected clients: who, from where, and how many messages they are owed"),
      Command.withExamples([
        { command: "emqttd ctl clients list", description: "The first thousand" },
        { command: "emqttd ctl clients list --limit 10000 --json", description: "For a program" }
      ])
    )

  const clientsKick = Command.make("kick", {
    clientId: Argument.String("client-id").pipe(Argument.withDescription("Whose connection is to end"))
  }, ({ clientId }) =>
    Effect.gen(function* () {
      yield* (yield* questions).kick(yield* target, clientId)
    })).pipe(
      Command.withDescription("Send a client away: MQTT 5 clients get DISCONNECT 0x98. Its session stays"),
      Command.withExamples([{ command: "emqttd ctl clients kick meter-17" }])
    )

  const clients = Command.make("clients").pipe(
    Command.withDescription("Who is connected"),
    Command.withSubcommands([clientsList, clientsKick])
  )

  const bans = bansCommand(target, limit)

  return shared.pipe(
    Command.withDescription("Ask a running node, or tell it what to do"),
    Command.withExamples([
      { command: "emqttd ctl status", description: "Is it well, and how many are connected" },
      { command: "emqttd ctl status --data /var/lib/emqttd", description: "The node with that data directory" },
      { command: "emqttd ctl clients list --limit 20 --json", description: "For a program" },
      { command: "emqttd ctl clients kick meter-17", description: "End one client's connection" },
      { command: "emqttd ctl listeners stop ws", description: "Close a door until it is opened again" }
    ]),
    Command.withSubcommands([
      status,
      reload,
      tree,
      listeners,
      clients,
      bans,
      usersCommand(target),
      aclCommand(target),
      clusterCommand(target),
      counters
    ])
  )
}
