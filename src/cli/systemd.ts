// What a service manager (systemd) is told of: that the broker listens, is reloading, stops, and is alive. Called by start.ts.
// Invariant: without NOTIFY_SOCKET nothing happens; a manager that cannot be told costs a warning and nothing else.
import { Effect, type Scope } from "effect"
import type { ServiceEnvironment } from "../config/environment.ts"
import { notifySocket } from "../platform/notifySocket.ts"

export interface Systemd {
  /** It listens: what is ordered after it may start. */
  readonly ready: (status: string) => Effect.Effect<void>
  /** Settings are being read again; `ready` follows. */
  readonly reloading: Effect.Effect<void>
  readonly stopping: Effect.Effect<void>
}

const silent: Systemd = { ready: () => Effect.void, reloading: Effect.void, stopping: Effect.void }

/** From here on, while the scope lasts, it also says every half of `watchdogMillis` that the event loop turns. */
export const systemd = Effect.fnUntraced(function* (
  { notifySocket: target, watchdogMillis }: ServiceEnvironment
): Effect.fn.Return<Systemd, never, Scope.Scope> {
  if (target === undefined) return silent
  const notify = notifySocket(target)
  if (notify === undefined) {
    yield* Effect.logWarning("the service manager cannot be told of the start", { notify_socket: target })
    return silent
  }
  const tell = (text: string) =>
    Effect.flatMap(
      Effect.sync(() => notify(text)),
      (taken) =>
        taken ? Effect.void : Effect.logWarning("the service manager was not told", { notify_socket: target, text })
    )
  if (watchdogMillis !== undefined) {
    const alive = Effect.andThen(tell("WATCHDOG=1"), Effect.sleep(watchdogMillis / 2))
    yield* Effect.forkScoped(Effect.forever(alive))
  }
  return {
    ready: (status) => tell(`READY=1\nSTATUS=${status}`),
    reloading: tell("RELOADING=1\nSTATUS=reading the settings again"),
    stopping: tell("STOPPING=1\nSTATUS=stopping")
  }
})
