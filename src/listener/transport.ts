// What carries MQTT for one listener: TCP, TLS and what WebSocket makes of either. A listener sees the one contract of platform/Tcp.ts.
// Invariant: each type of the settings has its transport here, or says why not.
import { Data, Effect } from "effect"
import type { ListenerSettings } from "../config/Settings.ts"
import { tcp } from "../platform/runtimeTcp.ts"
import type { Tcp } from "../platform/Tcp.ts"
import { makeTls } from "../platform/Tls.ts"
import type { Services } from "../session/Services.ts"
import { readCertificates, stampOf } from "./certificateFiles.ts"
import type { Overload } from "./Overload.ts"
import { overWebSocket } from "./webSocketTransport.ts"

/** One line for the operator, and the code that the process ends with when it happens at the start: 69 an address, 78 a setting. */
export class ListenerFailed extends Data.TaggedError("ListenerFailed")<{
  readonly listener: string
  readonly detail: string
  readonly exitCode: number
}> {
  override get message() {
    return `listener ${this.listener}: ${this.detail}`
  }
}

export interface Transport {
  readonly tcp: Tcp
  /** Reads certificates again; those in force stay when the new ones are not good. True: they have changed. */
  readonly reload: Effect.Effect<boolean, ListenerFailed>
  /** The same, but only when a file has changed since it was last looked at. */
  readonly reloadChanged: Effect.Effect<boolean, ListenerFailed>
}

export const transportOf = (
  settings: ListenerSettings,
  services: Services,
  overload: Overload
): Effect.Effect<Transport, ListenerFailed> => {
  switch (settings.type) {
    case "tcp":
      return Effect.succeed(plain)
    case "tls":
      return encrypted(settings, services, overload)
    case "ws":
      return Effect.succeed({ ...plain, tcp: overWebSocket(tcp, settings, services) })
    case "wss":
      return Effect.map(encrypted(settings, services, overload), (transport) => ({
        ...transport,
        tcp: overWebSocket(transport.tcp, settings, services)
      }))
    default:
      return settings.type satisfies never
  }
}

const plain: Transport = { tcp, reload: Effect.succeed(false), reloadChanged: Effect.succeed(false) }

const encrypted = Effect.fnUntraced(function* (
  settings: ListenerSettings,
  services: Services,
  overload: Overload
) {
  const { ciphers, clientCertificate, handshakeTimeoutMillis, maxHandshakes, name, tlsVersions } = settings
  const { counters, log } = services
  const failed = ({ message }: { readonly message: string }) =>
    new ListenerFailed({ listener: name, detail: message, exitCode: 78 })
  let stamp = stampOf(settings)
  let inForce = yield* Effect.mapError(readCertificates(settings), failed)
  const tls = yield* Effect.mapError(
    makeTls({
      ciphers,
      clientCertificate,
      versions: tlsVersions,
      handshakeTimeoutMillis,
      maxHandshakes,
      onFailed: (reason, peer) => {
        counters.tls_handshakes_failed_total++
        log.info("TLS handshake failed", { listener: name, peer, reason })
      },
      onRefused: (peer) => {
        counters.tls_handshakes_refused_total++
        log.warning("TLS handshake refused: too many at the same time", {
          listener: name,
          peer,
          limit: `listeners.${name}.max_handshakes`
        })
      },
      door: {
        begins: (connection, peer) => {
          const isBanned = services.bans.keepsOut({ remoteAddress: peer })
          const begins = !isBanned && overload.beginBelow(services.scheduler.refresh(), connection, peer)
          if (!begins) counters.tls_handshakes_refused_total++
          return begins
        },
        ended: (connection) => overload.handshakes.end(connection)
      }
    }, inForce),
    failed
  )
  const reload = Effect.gen(function* () {
    stamp = stampOf(settings)
    const next = yield* Effect.mapError(readCertificates(settings), failed)
    if (JSON.stringify(next) === JSON.stringify(inForce)) return false
    yield* Effect.mapError(tls.exchange(next), failed)
    inForce = next
    return true
  })
  const transport: Transport = {
    tcp: tls,
    reload,
    reloadChanged: Effect.suspend(() => stampOf(settings) === stamp ? Effect.succeed(false) : reload)
  }
  return transport
})
