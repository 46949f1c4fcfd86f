// The questions of `emqttd ctl`: each asks the node once and prints its answer, for people or as JSON.
import { Console, Effect } from "effect"
import { ExitCode, type ExitWith, exitWith } from "../Exit.ts"
import { combinedClients, combinedCounts, combinedListeners, combinedStatus, combinedTree } from "./combine.ts"
import { clientLines, counterLines, listenerLines, statusLines, treeLines, workerLines } from "./render.ts"
import { ask, askEach, type Target } from "./session.ts"

export type Told = Effect.Effect<void, ExitWith>

export const print = <A>(target: Target, answer: A, lines: (answer: A) => ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (target.json) return Console.log(JSON.stringify(answer, null, 2))
    const text = lines(answer).join("\n")
    return text === "" ? Effect.void : Console.log(text)
  })

export const status = (target: Target): Told =>
  Effect.gen(function* () {
    const all = yield* askEach(target, (node) => node.node.status())
    const answer = combinedStatus(all)
    if (all.length === 1) yield* print(target, answer, statusLines)
    else yield* print(target, { ...answer, workers: all }, () => [...statusLines(answer), "", ...workerLines(all)])
    if (!answer.health.ok) return yield* exitWith(ExitCode.Refused, [])
  })

export const tree = (target: Target, limit: number | undefined): Told =>
  Effect.gen(function* () {
    const all = yield* askEach(target, (node) => node.node.tree({ query: { limit } }))
    yield* print(target, all.length === 1 ? all[0] : combinedTree(all), treeLines)
  })

export const counters = (target: Target): Told =>
  Effect.gen(function* () {
    const all = yield* askEach(target, (node) => node.node.counters())
    yield* print(target, combinedCounts(all), counterLines)
  })

export const listenersList = (target: Target): Told =>
  Effect.gen(function* () {
    const all = yield* askEach(target, (node) => node.listeners.list())
    yield* print(target, combinedListeners(all), listenerLines)
  })

export const listenerStart = (target: Target, name: string): Told =>
  Effect.gen(function* () {
    yield* askEach(target, (node) => node.listeners.start({ params: { name } }))
    yield* print(target, { started: name }, () => [`listening: ${name}`])
  })

export const listenerStop = (target: Target, name: string): Told =>
  Effect.gen(function* () {
    yield* askEach(target, (node) => node.listeners.stop({ params: { name } }))
    yield* print(target, { stopped: name }, () => [`stopped: ${name}`])
  })

export const clientsList = (target: Target, limit: number | undefined): Told =>
  Effect.gen(function* () {
    const all = yield* askEach(target, (node) => node.clients.list({ query: { limit } }))
    yield* print(target, combinedClients(all), clientLines)
  })

export const kick = (target: Target, clientId: string): Told =>
  Effect.gen(function* () {
    const sockets = [...target.others ?? [], target.socket]
    for (const socket of sockets) {
      const kicked = yield* kickAt({ ...target, socket }, clientId, socket !== target.socket)
      if (kicked) break
    }
    yield* print(target, { kicked: clientId }, () => [`sent away: ${clientId}`])
  })

/** `elsewhere`: it may be connected to another worker, that is no fault. */
const kickAt = (target: Target, clientId: string, elsewhere: boolean): Effect.Effect<boolean, ExitWith> =>
  ask(target, (node) => {
    const kicked = Effect.as(node.clients.kick({ params: { clientId } }), true)
    return elsewhere ? Effect.catchTag(kicked, "NotFound", () => Effect.succeed(false)) : kicked
  })
