// One conversation of `emqttd ctl` with a node: the typed client of the management API over the node's socket file, and what is said
// when nobody answers. Invariant: a node that cannot be reached costs one line and exit 69; of one with
// workers that is so only when none of them is there, or when all have to do something.
import { Data, Effect } from "effect"
import * as fs from "node:fs"
import { HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { Api, NotFound, Refused } from "../../admin/Api.ts"
import { adminSocketPath } from "../../admin/AdminSocket.ts"
import type { Settings } from "../../config/Settings.ts"
import { workerDirectory, workersFile } from "../../config/workerSettings.ts"
import { HttpSocketFailed, requestHttpSocket } from "../../platform/HttpSocket.ts"
import { ExitCode, type ExitWith, exitWith } from "../Exit.ts"

export interface Target {
  readonly socket: string
  readonly json: boolean
  /** Of the node's other workers, from the second on. */
  readonly others?: ReadonlyArray<string>
  /** One of them: its number. */
  readonly worker?: number
}

const patienceMillis = 10_000

export const socketOf = (settings: Settings): Effect.Effect<string, ExitWith> => {
  const path = adminSocketPath(settings)
  return path === undefined
    ? exitWith(ExitCode.Unavailable, [`emqttd: these settings give the node no socket (admin.socket = "", or Windows)`])
    : Effect.succeed(path)
}

/** Where a node has workers that run: the sockets of the second one and those after it. */
export const otherSockets = (settings: Settings): ReadonlyArray<string> => {
  const { dataDir } = settings.node
  const file = workersFile(dataDir)
  const workers = fs.existsSync(file) ? Number(fs.readFileSync(file, "utf8")) : 1
  return Array.from({ length: Math.max(0, Math.min(256, workers) - 1) }, (_, index) => index + 2).flatMap((worker) =>
    adminSocketPath({ ...settings, node: { ...settings.node, dataDir: workerDirectory(dataDir, worker) } }) ?? []
  )
}

const overSocket = (path: string): HttpClient.HttpClient =>
  HttpClient.make((request, url) => {
    const { body, headers, method } = request
    const bytes = body._tag === "Uint8Array" ? { body: body.body } : {}
    return requestHttpSocket(path, url, { method, headers: { ...headers }, ...bytes }).pipe(
      Effect.map((response) => HttpClientResponse.fromWeb(request, response)),
      Effect.mapError((cause) =>
        new HttpClientError.HttpClientError({
          reason: new HttpClientError.TransportError({ request, cause, description: cause.message })
        })
      )
    )
  })

const connect = (path: string) =>
  HttpApiClient.makeWith(Api, { httpClient: overSocket(path), baseUrl: "http://localhost" })

export type NodeClient = Effect.Success<ReturnType<typeof connect>>

/** A node, or one of its workers, that gives no answer: why, in one line. */
class Unreached extends Data.TaggedError("Unreached")<{
  readonly reason: string
  /** Nothing listens there: it was asked nothing. */
  readonly isAway: boolean
}> {}

/** Undefined: the node has answered, but not as this version understands it. */
const whyUnreached = ({ socket: path, worker }: Target, error: unknown): Unreached | undefined => {
  const cause = error instanceof HttpClientError.HttpClientError && error.reason._tag === "TransportError"
    ? error.reason.cause
    : undefined
  if (!(cause instanceof HttpSocketFailed)) return undefined
  if (cause.code !== "ENOENT" && cause.code !== "ECONNREFUSED") {
    return new Unreached({ reason: `no node to be reached on ${cause.message}`, isAway: false })
  }
  const reason = worker === undefined
    ? `no node answers on ${path}; is it running, with this data directory? (--data, --socket)`
    : `worker ${worker} of the node does not answer on ${path}: it starts, or is started again after a crash (the log says so)`
  return new Unreached({ reason, isAway: true })
}

const askOne = <A, E>(
  target: Target,
  question: (client: NodeClient) => Effect.Effect<A, E>
): Effect.Effect<A, ExitWith | Unreached> =>
  connect(target.socket).pipe(
    Effect.flatMap(question),
    Effect.catch((error): Effect.Effect<never, ExitWith | Unreached> => {
      if (error instanceof NotFound || error instanceof Refused) {
        return exitWith(ExitCode.Refused, [`emqttd: ${error.message}`])
      }
      const unreached = whyUnreached(target, error)
      if (unreached !== undefined) return unreached
      return exitWith(ExitCode.Refused, [
        `emqttd: the node on ${target.socket} did not answer as expected: ${String(error)}`
      ])
    }),
    Effect.timeoutOrElse({
      duration: patienceMillis,
      orElse: () => {
        const reason = `the node on ${target.socket} has not answered for ${patienceMillis / 1000} s`
        return new Unreached({ reason, isAway: false })
      }
    })
  )

/** The first worker first; of a node without workers itself. */
const workersOf = ({ others = [], ...target }: Target): ReadonlyArray<Target> =>
  others.length === 0
    ? [target]
    : [target.socket, ...others].map((socket, index) => ({ ...target, socket, worker: index + 1 }))

const nobody = (target: Target, faults: ReadonlyArray<Unreached>) => {
  const all = faults.every(({ isAway }) => isAway)
    ? [`no node answers on ${target.socket}; is it running, with this data directory? (--data, --socket)`]
    : faults.map(({ reason }) => reason)
  return exitWith(ExitCode.Unavailable, all.map((line) => `emqttd: ${line}`))
}

/** The answer, or one line and the end. Of several workers the first one that is there is asked: for what all have alike. */
export const ask = <A, E>(
  target: Target,
  question: (client: NodeClient) => Effect.Effect<A, E>
): Effect.Effect<A, ExitWith> =>
  Effect.gen(function* () {
    const faults: Array<Unreached> = []
    for (const worker of workersOf(target)) {
      const asked = yield* Effect.result(askOne(worker, question))
      if (asked._tag === "Success") return asked.success
      if (asked.failure._tag === "ExitWith") return yield* asked.failure
      faults.push(asked.failure)
      // It may have done what it was asked.
      if (!asked.failure.isAway) break
    }
    return yield* nobody(target, faults)
  })

export interface Answer<A> {
  /** From 1 on. */
  readonly worker: number
  readonly answer: A
}

export interface Missing {
  readonly worker: number
  /** In one line. */
  readonly reason: string
}

export interface Answers<A> {
  /** By the workers' numbers; of a node without workers its one. */
  readonly there: readonly [Answer<A>, ...Array<Answer<A>>]
  readonly missing: ReadonlyArray<Missing>
}

/** Of every worker that is there: one alone is enough. */
export const askThere = <A, E>(
  target: Target,
  question: (client: NodeClient) => Effect.Effect<A, E>
): Effect.Effect<Answers<A>, ExitWith> =>
  Effect.gen(function* () {
    const all = yield* Effect.forEach(workersOf(target), (one) => Effect.result(askOne(one, question)), {
      concurrency: "unbounded"
    })
    const answers: Array<Answer<A>> = []
    const faults: Array<Unreached> = []
    const missing: Array<Missing> = []
    for (const [index, asked] of all.entries()) {
      const worker = index + 1
      if (asked._tag === "Success") answers.push({ worker, answer: asked.success })
      else if (asked.failure._tag === "ExitWith") return yield* asked.failure
      else {
        faults.push(asked.failure)
        missing.push({ worker, reason: asked.failure.reason })
      }
    }
    const [first, ...rest] = answers
    if (first === undefined) return yield* nobody(target, faults)
    return { there: [first, ...rest], missing }
  })

/** Of every worker, the first one first; when one does not answer the others have been asked all the same, and it ends with 69. */
export const askEach = <A, E>(
  target: Target,
  question: (client: NodeClient) => Effect.Effect<A, E>
): Effect.Effect<readonly [A, ...Array<A>], ExitWith> =>
  Effect.gen(function* () {
    const { missing, there: [first, ...rest] } = yield* askThere(target, question)
    if (missing.length > 0) {
      return yield* exitWith(ExitCode.Unavailable, missing.map(({ reason }) => `emqttd: ${reason}`))
    }
    return [first.answer, ...rest.map(({ answer }) => answer)]
  })
