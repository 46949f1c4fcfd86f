// `emqttd ctl cluster`: who is in the cluster, and what this node is told to do about it, as commands with their help.
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import type { ExitWith } from "../Exit.ts"
import type { Target } from "./session.ts"

/** `target`: which node. What asks it is loaded only then. */
export const clusterCommand = <R>(target: Effect.Effect<Target, ExitWith, R>) => {
  const questions = Effect.promise(() => import("./clusterQuestions.ts"))

  const status = Command.make("status", {}, () =>
    Effect.gen(function* () {
      yield* (yield* questions).clusterStatus(yield* target)
    })).pipe(
      Command.withDescription("The members as this node sees them: exit 0 when it sees more than half of them, else 1")
    )

  const join = Command.make("join", {
    address: Argument.String("host:port").pipe(Argument.withDescription("Of any member"))
  }, ({ address }) =>
    Effect.gen(function* () {
      yield* (yield* questions).clusterJoin(yield* target, address)
    })).pipe(
      Command.withDescription(
        "Connect to a member; it tells of the others. Until the next start: cluster.peers is for ever"
      ),
      Command.withExamples([{ command: "emqttd ctl cluster join 10.0.0.1:4370" }])
    )

  const leave = Command.make("leave", {}, () =>
    Effect.gen(function* () {
      yield* (yield* questions).clusterLeave(yield* target)
    })).pipe(Command.withDescription("Take this node out of the cluster: the others do not count with it any more"))

  const remove = Command.make("remove", {
    node: Argument.String("node").pipe(Argument.withDescription("Name of a member that is dead and will not come back"))
  }, ({ node }) =>
    Effect.gen(function* () {
      yield* (yield* questions).clusterRemove(yield* target, node)
    })).pipe(
      Command.withDescription("Forget a dead member on all nodes, and what was kept for it"),
      Command.withExamples([{ command: "emqttd ctl cluster remove emqttd@10.0.0.3" }])
    )

  return Command.make("cluster").pipe(
    Command.withDescription("The nodes that are one broker with this one"),
    Command.withExamples([{ command: "emqttd ctl cluster status", description: "Who is there" }]),
    Command.withSubcommands([status, join, leave, remove])
  )
}
