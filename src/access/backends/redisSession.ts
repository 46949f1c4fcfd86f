// One session with a Redis (or Valkey), for the original's commands. Loaded only where one is asked. Invariant: an error that Redis answers
// leaves the session usable; what breaks it is "away".
import { createClient, ErrorReply } from "@redis/client"
import { Effect, type Scope } from "effect"
import { type BackendFailure, backendFailure } from "./Backend.ts"
import type { Session } from "./SessionPool.ts"
import { type ReachSettings, reasonOf, tlsOptions } from "./transport.ts"

export interface RedisSession extends Session {
  readonly command: (words: ReadonlyArray<string>) => Effect.Effect<unknown, BackendFailure>
}

/** redis://user@host:6379/0, for a socket file ?socket=/run/redis/redis.sock */
export const openRedis = (
  name: string,
  settings: ReachSettings
): Effect.Effect<RedisSession, BackendFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const { password, timeoutMillis } = settings
    const { hostname, pathname, port, protocol, searchParams, username } = new URL(settings.url)
    const path = searchParams.get("socket")
    const host = hostname.replace(/^\[(.*)\]$/, "$1")
    const common = { connectTimeout: timeoutMillis, reconnectStrategy: false } as const
    const tls = path === null && (settings.tls || protocol === "rediss:")
      ? yield* tlsOptions(name, settings, host)
      : undefined
    const address = { host, port: Number(port || 6379) }
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const made = createClient({
          socket: path !== null
            ? { ...common, path, tls: false }
            : tls === undefined
            ? { ...common, ...address }
            : { ...common, ...address, ...tls, tls: true },
          ...(username === "" ? {} : { username: decodeURIComponent(username) }),
          ...(password === "" ? {} : { password }),
          database: Number(pathname.slice(1) || 0),
          RESP: 2,
          disableOfflineQueue: true
        })
        // Without it an idle session that ends would end the process.
        made.on("error", () => {})
        return made
      }),
      (made) => Effect.sync(() => made.isOpen && made.destroy())
    )
    const failed = (error: unknown) =>
      backendFailure(error instanceof ErrorReply ? "refused" : "away", `${name}: ${reasonOf(error)}`)
    yield* Effect.tryPromise({
      try: () => client.connect(),
      catch: (error) => backendFailure("away", `${name}: ${reasonOf(error)}`)
    })
    return {
      isOpen: () => client.isReady,
      command: (words) => Effect.tryPromise({ try: () => client.sendCommand(words), catch: failed })
    }
  })
