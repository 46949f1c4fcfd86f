// The questions of `emqttd ctl cluster`: each asks the node once and prints its answer, for people or as JSON.
import { Effect } from "effect"
import type { ClusterStatus } from "../../admin/clusterApi.ts"
import { ExitCode, exitWith } from "../Exit.ts"
import { print, type Told } from "./questions.ts"
import { aligned, plain } from "./render.ts"
import { ask, type Target } from "./session.ts"

const states: { readonly [State in ClusterStatus["state"]]: string } = {
  member: "a member",
  leaving: "leaving",
  left: "not a member any more: emqttd ctl cluster join"
}

const statusLines = (status: ClusterStatus): ReadonlyArray<string> => [
  ...aligned([
    ["cluster", plain(status.cluster)],
    ["node", `${plain(status.node)} at ${status.address}, ${states[status.state]}`],
    ["majority", status.majority ? "seen" : "NOT seen: this node sees no more than half of the members"],
    ...status.unreachable.map(({ address, reason }) => ["unreachable", `${address}: ${plain(reason)}`])
  ]),
  "",
  ...aligned([
    ["MEMBER", "STATUS", "LINK", "ADDRESS", "SINCE", "OWED", "QUEUED"],
    ...status.members.map((member) => [
      plain(member.name),
      member.status,
      member.link,
      plain(member.address),
      new Date(member.since).toISOString(),
      String(member.owed_messages),
      `${member.queued_bytes} bytes`
    ])
  ])
]

export const clusterStatus = (target: Target): Told =>
  Effect.gen(function* () {
    const answer = yield* ask(target, (node) => node.cluster.status())
    yield* print(target, answer, statusLines)
    if (!answer.majority) return yield* exitWith(ExitCode.Refused, [])
  })

export const clusterJoin = (target: Target, address: string): Told =>
  Effect.gen(function* () {
    const answer = yield* ask(target, (node) => node.cluster.join({ payload: { address } }))
    yield* print(target, answer, ({ node }) => [`joined: ${plain(node)}`])
  })

export const clusterLeave = (target: Target): Told =>
  Effect.gen(function* () {
    yield* ask(target, (node) => node.cluster.leave())
    yield* print(target, { left: true }, () => ["left the cluster"])
  })

export const clusterRemove = (target: Target, name: string): Told =>
  Effect.gen(function* () {
    yield* ask(target, (node) => node.cluster.remove({ params: { name } }))
    yield* print(target, { removed: name }, () => [`removed: ${plain(name)}`])
  })
