// Who is connected, judged again: after a reload, and whenever rules are put in or taken out. Each session looks at its own subscriptions in
// its own turn. Invariants: who is still allowed notices nothing; a large broker is not held up: so many at a time, then others have a turn.
import { Effect, Queue } from "effect"
import type { UserDatabase } from "../access/users/UserDatabase.ts"
import type { Settings } from "../config/Settings.ts"
import type { Connection } from "../connection/Connection.ts"
import type { Listener } from "../listener/Listener.ts"
import type { Listeners } from "../listener/Listeners.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { ChildSpec } from "../otp/ChildSpec.ts"
import type { Services } from "../session/Services.ts"
import type { Sessions } from "../session/Sessions.ts"

export interface Judged {
  readonly services: Services
  readonly sessions: Sessions
  readonly doors: Pick<Listeners, "open">
  readonly kept: { readonly users: Pick<UserDatabase, "find"> }
}

const atATime = 256

/** Why it would not be let in any more, as far as that can be told without its password; undefined: it may stay. */
const revoked = (
  { kept, services }: Judged,
  { auth_users: { key } }: Settings,
  listener: Listener,
  { subject }: Connection
): string | undefined => {
  const { address = "", by, certificateName, clientId, listener: name = "", superuser, userName } = subject
  if (!listener.admits(address)) return "its listener does not let its address in any more"
  // SCRAM is no link of the chain: it has the same users as the link "users".
  if (by?.startsWith("SCRAM-") === true) {
    const user = kept.users.find((key === "client_id" ? clientId : userName) ?? "")
    if (user === undefined) return "there is no such user any more"
    return superuser && !user.superuser ? "it is no superuser any more" : undefined
  }
  const who = { clientId, userName, address, certificateName, listener: name, superuser }
  if (by === undefined || services.authentication.chain.stillAllows(by, who)) return undefined
  return `${by} does not let it in any more`
}

export const rejudge = Effect.fn("rejudge")(function* (
  judged: Judged,
  settings: Settings
): Effect.fn.Return<void> {
  const { authentication, authorization } = settings
  const { services, sessions } = judged
  const look = (listener: Listener, connection: Connection): void => {
    // Nobody has said yet who it is: the chain of now will, or has its answer looked at again (Arrival.ts).
    if (!connection.connected && connection.subject.by === undefined) return
    const { clientId } = connection
    const reason = authentication.whenRevoked === "keep" ? undefined : revoked(judged, settings, listener, connection)
    if (reason !== undefined) {
      services.counters.connections_revoked_total++
      services.log.warning("client sent away: not allowed any more", {
        client_id: clientId,
        user_name: connection.subject.userName,
        reason
      })
      return connection.post({ _tag: "Close", reasonCode: ReasonCode.NotAuthorized, reason: "not allowed any more" })
    }
    if (!connection.connected) return
    const session = sessions.get(clientId)
    session?.command({ _tag: "Step", run: () => session.rejudge(authorization.whenRevoked) })
  }
  for (const listener of judged.doors.open) {
    const connections = [...listener.connections]
    for (let at = 0; at < connections.length; at += atATime) {
      for (const connection of connections.slice(at, at + atATime)) look(listener, connection)
      yield* Effect.sleep(0)
    }
  }
})

/** A child of the tree: however many changes come at once, one look follows the last of them. */
export const rejudging = (judged: Judged, settings: () => Settings): ChildSpec => {
  const changes = Effect.runSync(Queue.sliding<true>(1))
  judged.services.rules.replaced = () => void Queue.offerUnsafe(changes, true)
  return {
    id: "rejudging",
    kind: "worker",
    restart: "permanent",
    start: Effect.forever(Effect.andThen(Queue.take(changes), Effect.suspend(() => rejudge(judged, settings()))))
  }
}
