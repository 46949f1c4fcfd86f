/**
 * The file of a Unix socket: it outlives a process that was killed, and then nobody can listen there until it has gone. Invariant: only
 * a socket that nobody listens on is removed, never a file of another kind.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { chmodSync, lstatSync, unlinkSync } from "node:fs"
import { connect } from "node:net"
import { listenFailed } from "./listenFailed.ts"
import { ListenFailed, type TcpListenOptions, unixPath } from "./Tcp.ts"

const inode = (path: string): number | undefined => lstatSync(path, { throwIfNoEntry: false })?.ino

const answers = (path: string): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = connect({ path })
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed(true))
    })
    socket.once("error", () => resume(Effect.succeed(false)))
    return Effect.sync(() => socket.destroy())
  })

const attempt = <A>(options: TcpListenOptions, act: () => A): Effect.Effect<A, ListenFailed> =>
  Effect.try({ try: act, catch: (error) => listenFailed(options, error) })

/** Makes room for `listen`, gives its socket the permissions that were asked for, and takes the file away in the end. */
export const onUnixPath = <A>(
  options: TcpListenOptions,
  listen: Effect.Effect<A, ListenFailed, Scope.Scope>
): Effect.Effect<A, ListenFailed, Scope.Scope> => {
  const path = unixPath(options.address)
  if (path === undefined) return listen
  return Effect.gen(function* () {
    const found = yield* attempt(options, () => lstatSync(path, { throwIfNoEntry: false }))
    if (found !== undefined && !found.isSocket()) {
      const detail = "a file that is no socket has this name"
      return yield* new ListenFailed({ reason: "Other", address: options.address, port: 0, detail })
    }
    if (found !== undefined) {
      const inUse = Object.assign(new Error("in use"), { code: "EADDRINUSE" })
      if (yield* answers(path)) return yield* listenFailed(options, inUse)
      yield* attempt(options, () => unlinkSync(path))
    }
    const listener = yield* listen
    yield* attempt(options, () => {
      if (options.unixMode !== undefined) chmodSync(path, options.unixMode)
    })
    const ours = inode(path)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (ours !== undefined && inode(path) === ours) unlinkSync(path)
      })
    )
    return listener
  })
}
