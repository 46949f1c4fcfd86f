// One conversation of `emqttd ctl` with a node: the typed client of the management API over the node's socket file, and what is said
// when nobody answers. Invariant: a node that cannot be reached costs one line and exit 69.
import { Effect } from "effect"
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
  /** One of those: its number. */
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

/** Undefined: the node has answered, but not as this version understands it. */
const whyUnreachable = ({ socket: path, worker }: Target, error: unknown): string | undefined => {
  const cause = error instanceof HttpClientError.HttpClientError && error.reason._tag === "TransportError"
    ? error.reason.cause
    : undefined
  if (!(cause instanceof HttpSocketFailed)) return undefined
  const asked = "is it running, with this data directory? (--data, --socket)"
  return cause.code !== "ENOENT" && cause.code !== "ECONNREFUSED"
    ? `no node to be reached on ${cause.message}`
    : worker === undefined
    ? `no node answers on ${path}; ${asked}`
    : `worker ${worker} of the node does not answer on ${path}: it starts, or is started again after a crash (the log says so)`
}

/** The answer, or one line and the end. */
export const ask = <A, E>(
  target: Target,
  question: (client: NodeClient) => Effect.Effect<A, E>
): Effect.Effect<A, ExitWith> =>
  connect(target.socket).pipe(
    Effect.flatMap(question),
    Effect.catch((error) => {
      if (error instanceof NotFound || error instanceof Refused) {
        return exitWith(ExitCode.Refused, [`emqttd: ${error.message}`])
      }
      const unreachable = whyUnreachable(target, error)
      if (unreachable !== undefined) return exitWith(ExitCode.Unavailable, [`emqttd: ${unreachable}`])
      return exitWith(ExitCode.Refused, [
        `emqttd: the node on ${target.socket} did not answer as expected: ${String(error)}`
      ])
    }),
    Effect.timeoutOrElse({
      duration: patienceMillis,
      orElse: () =>
        exitWith(ExitCode.Unavailable, [
          `emqttd: the node on ${target.socket} has not answered for ${patienceMillis / 1000} s`
        ])
    })
  )

/** Of every worker, the first one first. */
export const askEach = <A, E>(
  target: Target,
  question: (client: NodeClient) => Effect.Effect<A, E>
): Effect.Effect<readonly [A, ...Array<A>], ExitWith> =>
  Effect.map(
    Effect.all([
      ask(target, question),
      Effect.forEach(target.others ?? [], (socket, index) => ask({ ...target, socket, worker: index + 2 }, question))
    ]),
    ([first, rest]) => [first, ...rest]
  )
