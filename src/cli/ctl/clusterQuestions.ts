// The questions of `emqttd ctl cluster`: each asks the node once and prints its answer, for people or as JSON.
import { Effect } from "effect"
import type { ClusterStatus } from "../../admin/clusterApi.ts"
import { ExitCode, exitWith } from "../Exit.ts"
import { nodeOfWorker } from "../../config/workerSettings.ts"
import { combinedCluster } from "./combine.ts"
import { print, tellMissing, type Told } from "./questions.ts"
import { aligned, plain } from "./render.ts"
import { ask, askEach, askThere, type Target } from "./session.ts"

const states: { readonly [State in ClusterStatus["state"]]: string } = {
  member: "a member",
  leaving: "leaving",
  left: "not a member any more: emqttd ctl cluster join"
}

const minority = { serve: "goes on serving", refuse: "takes no new client" }
const secretText = ["none: nodes of this machine alone", "one holds"]

const protocolText = ({ highest, lowest }: ClusterStatus["protocol"]): string =>
  lowest === highest ? String(highest) : `${lowest} to ${highest}`

/** Seconds are enough, and fit beside each other. */
const timeText = (millis: number): string => new Date(millis).toISOString().replace(/\.\d+Z$/, "Z")

/** `workers`: of the node, or itself. */
const statusLines = (status: ClusterStatus, workers: ReadonlyArray<ClusterStatus>): ReadonlyArray<string> => [
  ...aligned([
    ["cluster", plain(status.cluster)],
    ...workers.map(({ address, node, state }, index) => [
      index === 0 ? "node" : "",
      `${plain(node)} at ${plain(address)}, ${states[state]}`
    ]),
    ["program", `emqttd ${status.program}, protocol ${protocolText(status.protocol)}`],
    ["secret", secretText[status.secrets] ?? "two hold: it is being changed"],
    [
      "majority",
      status.majority
        ? "seen"
        : `NOT seen: this node sees no more than half of the members, and ${minority[status.minority]}`
    ],
    [
      "sessions",
      `${status.sessions.held} here, ${status.sessions.known} looked after, ${status.sessions.moving} on their way`
    ],
    ...status.members.filter(({ link }) => link === "down").map(({ link_fault, name }) => [
      "no link",
      `${plain(name)}: ${link_fault === "" ? "not called yet" : plain(link_fault)}`
    ]),
    ...status.unreachable.map(({ address, reason }) => ["unreachable", `${address}: ${plain(reason)}`])
  ]),
  "",
  ...aligned([
    ["MEMBER", "STATUS", "SINCE", "LINK", "SINCE", "ADDRESS", "PROGRAM", "OWED", "QUEUED"],
    ...status.members.map((member) => [
      plain(member.name),
      member.status,
      timeText(member.since),
      member.link,
      member.link_since === null ? "-" : timeText(member.link_since),
      plain(member.address),
      member.program === "" ? "-" : plain(member.program),
      String(member.owed_messages),
      `${member.queued_bytes} bytes`
    ])
  ])
]

export const clusterStatus = (target: Target): Told =>
  Effect.gen(function* () {
    const { missing, there: [first, ...rest] } = yield* askThere(target, (node) => node.cluster.status())
    const workers = [first, ...rest].map(({ answer, worker }) => ({ worker, ...answer }))
    const answer = combinedCluster([first.answer, ...rest.map(({ answer }) => answer)])
    if (workers.length + missing.length === 1) yield* print(target, answer, (status) => statusLines(status, [status]))
    else yield* print(target, { ...answer, workers, missing }, (status) => statusLines(status, workers))
    yield* tellMissing(missing)
    if (!answer.majority) return yield* exitWith(ExitCode.Refused, [])
  })

/** Every worker becomes a member of it; a worker of this node itself is no way into another cluster. */
export const clusterJoin = (target: Target, address: string): Told =>
  Effect.gen(function* () {
    const [{ node }] = yield* askEach(target, (node) => node.cluster.join({ payload: { address } }))
    yield* print(target, { node }, () => [`joined: ${plain(node)}`])
  })

/** All workers of the node at the same time, and none gives its sessions to another one of them. Nothing is done unless all answer. */
export const clusterLeave = (target: Target): Told =>
  Effect.gen(function* () {
    const names = (yield* askEach(target, (node) => node.cluster.status())).map(({ node }) => node)
    yield* askEach(target, (node) => node.cluster.leave({ payload: { not_to: names } }))
    yield* print(target, { left: true }, () => ["left the cluster"])
  })

/** One member, or all workers of a node that has several: `n@host` are `n-1@host`, `n-2@host` and so on. */
export const clusterRemove = (target: Target, name: string): Told =>
  Effect.gen(function* () {
    const { members } = yield* ask(target, (node) => node.cluster.status())
    const all = members.map(({ name }) => name)
    const workers = all.filter((one) => one !== name && nodeOfWorker(one) === name)
    const names = all.includes(name) || workers.length === 0 ? [name] : workers
    for (const one of names) yield* ask(target, (node) => node.cluster.remove({ params: { name: one } }))
    yield* print(target, { removed: name, members: names }, () => names.map((one) => `removed: ${plain(one)}`))
  })
