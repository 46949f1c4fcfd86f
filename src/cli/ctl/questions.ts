// The questions of `emqttd ctl`: each asks the node once and prints its answer, for people or as JSON.
import { Console, Effect } from "effect"
import { NotFound } from "../../admin/Api.ts"
import { ExitCode, type ExitWith, exitWith } from "../Exit.ts"
import { combinedClients, combinedCounts, combinedListeners, combinedStatus, combinedTree } from "./combine.ts"
import { clientLines, counterLines, listenerLines, statusLines, treeLines, workerLines } from "./render.ts"
import { askEach, askThere, type Missing, type NodeClient, type Target } from "./session.ts"

export type Told = Effect.Effect<void, ExitWith>

export const print = <A>(target: Target, answer: A, lines: (answer: A) => ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (target.json) return Console.log(JSON.stringify(answer, null, 2))
    const text = lines(answer).join("\n")
    return text === "" ? Effect.void : Console.log(text)
  })

/** One line each, beside the answer of the others. */
export const tellMissing = (missing: ReadonlyArray<Missing>): Effect.Effect<void> =>
  Effect.forEach(missing, ({ reason }) => Console.error(`emqttd: ${reason}`), { discard: true })

/** Of all workers that are there. */
const gathered = <A, E>(target: Target, question: (client: NodeClient) => Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const { missing, there: [first, ...rest] } = yield* askThere(target, question)
    yield* tellMissing(missing)
    return [first.answer, ...rest.map(({ answer }) => answer)] as const
  })

export const status = (target: Target): Told =>
  Effect.gen(function* () {
    const { missing, there: [first, ...rest] } = yield* askThere(target, (node) => node.node.status())
    const answer = combinedStatus([first.answer, ...rest.map(({ answer }) => answer)])
    const workers = [first, ...rest].map(({ answer, worker }) => ({ worker, ...answer }))
    if (workers.length + missing.length === 1) yield* print(target, answer, statusLines)
    else {
      const numbers = missing.map(({ worker }) => worker)
      yield* print(target, { ...answer, workers, missing }, () => [
        ...statusLines(answer),
        "",
        ...workerLines(workers, numbers)
      ])
      yield* tellMissing(missing)
    }
    if (!answer.health.ok) return yield* exitWith(ExitCode.Refused, [])
  })

/** All workers read the same files: a fault is told once. */
export const reload = (target: Target): Told =>
  Effect.gen(function* () {
    const all = yield* askEach(target, (node) => node.node.reload())
    const answer = {
      faults: [...new Set(all.flatMap(({ faults }) => faults))],
      need_restart: [...new Set(all.flatMap(({ need_restart }) => need_restart))]
    }
    yield* print(target, answer, ({ need_restart }) => [
      ...(answer.faults.length === 0 ? ["settings read again"] : []),
      ...need_restart.map((key) => `changed, from the next start on: ${key}`)
    ])
    if (answer.faults.length === 0) return
    return yield* exitWith(ExitCode.Refused, answer.faults.map((fault) => `emqttd: ${fault}`))
  })

export const tree = (target: Target, limit: number | undefined): Told =>
  Effect.gen(function* () {
    const { missing, there } = yield* askThere(target, (node) => node.node.tree({ query: { limit } }))
    yield* tellMissing(missing)
    const isAlone = there.length + missing.length === 1
    const all = there.map(({ answer, worker }) => [worker, answer] as const)
    yield* print(target, isAlone ? there[0].answer : combinedTree(all), treeLines)
  })

export const counters = (target: Target): Told =>
  Effect.gen(function* () {
    const all = yield* gathered(target, (node) => node.node.counters())
    yield* print(target, combinedCounts(all), counterLines)
  })

export const listenersList = (target: Target): Told =>
  Effect.gen(function* () {
    const all = yield* gathered(target, (node) => node.listeners.list())
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
    const all = yield* gathered(target, (node) => node.clients.list({ query: { limit } }))
    yield* print(target, combinedClients(all), clientLines)
  })

/** All workers are told; it is done when one of them had it to do. */
export const toldToAll = <E>(target: Target, order: (client: NodeClient) => Effect.Effect<void, E | NotFound>): Told =>
  Effect.gen(function* () {
    const { missing, there } = yield* askThere(target, (node) =>
      Effect.catch(
        Effect.as(order(node), ""),
        (error): Effect.Effect<string, E | NotFound> =>
          error instanceof NotFound ? Effect.succeed(error.message) : Effect.fail(error)
      ))
    if (there.some(({ answer }) => answer === "")) return
    yield* tellMissing(missing)
    return yield* exitWith(ExitCode.Refused, [`emqttd: ${there[0].answer}`])
  })

export const kick = (target: Target, clientId: string): Told =>
  Effect.gen(function* () {
    yield* toldToAll(target, (node) => node.clients.kick({ params: { clientId } }))
    yield* print(target, { kicked: clientId }, () => [`sent away: ${clientId}`])
  })
