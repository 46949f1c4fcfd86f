// The questions of `emqttd ctl`: each asks the node once and prints its answer, for people or as JSON.
import { Console, Effect } from "effect"
import { ExitCode, type ExitWith, exitWith } from "../Exit.ts"
import { clientLines, counterLines, listenerLines, statusLines, treeLines } from "./render.ts"
import { ask, type Target } from "./session.ts"

export type Told = Effect.Effect<void, ExitWith>

export const print = <A>(target: Target, answer: A, lines: (answer: A) => ReadonlyArray<string>): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (target.json) return Console.log(JSON.stringify(answer, null, 2))
    const text = lines(answer).join("\n")
    return text === "" ? Effect.void : Console.log(text)
  })

export const status = (target: Target): Told =>
  Effect.gen(function* () {
    const answer = yield* ask(target, (node) => node.node.status())
    yield* print(target, answer, statusLines)
    if (!answer.health.ok) return yield* exitWith(ExitCode.Refused, [])
  })

export const tree = (target: Target, limit: number | undefined): Told =>
  Effect.gen(function* () {
    const answer = yield* ask(target, (node) => node.node.tree({ query: { limit } }))
    yield* print(target, answer, treeLines)
  })

export const counters = (target: Target): Told =>
  Effect.gen(function* () {
    const answer = yield* ask(target, (node) => node.node.counters())
    yield* print(target, answer, counterLines)
  })

export const listenersList = (target: Target): Told =>
  Effect.gen(function* () {
    const answer = yield* ask(target, (node) => node.listeners.list())
    yield* print(target, answer, listenerLines)
  })

export const listenerStart = (target: Target, name: string): Told =>
  Effect.gen(function* () {
    yield* ask(target, (node) => node.listeners.start({ params: { name } }))
    yield* print(target, { started: name }, () => [`listening: ${name}`])
  })

export const listenerStop = (target: Target, name: string): Told =>
  Effect.gen(function* () {
    yield* ask(target, (node) => node.listeners.stop({ params: { name } }))
    yield* print(target, { stopped: name }, () => [`stopped: ${name}`])
  })

export const clientsList = (target: Target, limit: number | undefined): Told =>
  Effect.gen(function* () {
    const answer = yield* ask(target, (node) => node.clients.list({ query: { limit } }))
    yield* print(target, answer, clientLines)
  })

export const kick = (target: Target, clientId: string): Told =>
  Effect.gen(function* () {
    yield* ask(target, (node) => node.clients.kick({ params: { clientId } }))
    yield* print(target, { kicked: clientId }, () => [`sent away: ${clientId}`])
  })
