// The door for the administrator: the management API on a socket file of the data directory, which its owner alone can open. Claimed
// before a listener is opened, so that two brokers never run on one data directory; served as a child of the broker's tree.
// Invariant: a file that somebody listens on is never removed.
import { Data, Effect, type Scope } from "effect"
import * as path from "node:path"
import type { Settings } from "../config/Settings.ts"
import {
  hasSocketFiles,
  type HttpSocketFailed,
  probeSocket,
  removeSocket,
  serveHttpSocket,
  type WebHandler
} from "../platform/HttpSocket.ts"
import type { AdminNode } from "./AdminNode.ts"

/** One clear line for the operator. */
export class AdminSocketUnusable extends Data.TaggedError("AdminSocketUnusable")<{ readonly message: string }> {}

/** Where the node listens for its administrator: relative paths start in the data directory. Undefined: nowhere. */
export const adminSocketPath = ({ admin, node }: Settings): string | undefined =>
  admin.socket === "" || !hasSocketFiles ? undefined : path.resolve(node.dataDir, admin.socket)

const unusable = ({ message }: HttpSocketFailed) =>
  new AdminSocketUnusable({
    message: `admin socket ${message}; admin.socket may name another path, or "" for none`
  })

/** Makes room for the socket: what a broker that was killed has left is removed. Fails when another broker answers there. */
export const claimAdminSocket = Effect.fn("claimAdminSocket")(function* (
  socketPath: string,
  dataDir: string
): Effect.fn.Return<void, AdminSocketUnusable> {
  const found = yield* Effect.mapError(probeSocket(socketPath), unusable)
  if (found === "alive") {
    return yield* new AdminSocketUnusable({
      message: `another emqttd runs on the data directory ${path.resolve(dataDir)} (it answers on ${socketPath}); ` +
        "choose another with --data or node.data_dir"
    })
  }
  if (found === "stale") yield* Effect.mapError(removeSocket(socketPath), unusable)
})

/** Listens until the scope ends. */
export const serveAdmin = (
  socketPath: string,
  node: AdminNode
): Effect.Effect<void, AdminSocketUnusable, Scope.Scope> =>
  Effect.mapError(serveHttpSocket(socketPath, loadedAtFirst(node)), unusable)

const loadedAtFirst = (node: AdminNode): WebHandler => {
  let handler: Promise<WebHandler> | undefined
  return async (request) => {
    handler ??= import("./webHandler.ts").then(({ webHandler }) => webHandler(node))
    return (await handler)(request)
  }
}
