// One address on which clients are accepted: it looks at each new socket once (limits at the door) and starts a supervised
// connection for it. Invariant: never more connections than its limit; those above it are told why at their CONNECT.
import { Effect } from "effect"
import type { LimitsSettings, ListenerSettings } from "../config/Settings.ts"
import { isWithin, type Networks, networksOf } from "../config/network.ts"
import { TokenBucket } from "../connection/TokenBucket.ts"
import { Connection } from "../connection/Connection.ts"
import type { ConnectionOwner } from "../connection/ConnectionOwner.ts"
import type { Refusal } from "../connection/handshake.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { Supervisor } from "../otp/Supervisor.ts"
import { collectYoung } from "../platform/collectYoung.ts"
import type { TcpHandlers, TcpSocket } from "../platform/Tcp.ts"
import type { Overload } from "./Overload.ts"
import type { Services } from "../session/Services.ts"
import type { Sessions } from "../session/Sessions.ts"

/** Sockets above a limit that may wait to be told so at their CONNECT; those beyond are closed at once. */
export const refusalsAtATime = 256

/** So many more connections than at the last time, and young garbage is collected: some 4 ms for every 512 clients. */
const connectionsPerCollection = 512

export interface ListenerOptions {
  readonly settings: ListenerSettings
  readonly services: Services
  readonly sessions: Sessions
  /** Of this listener's connections. */
  readonly supervisor: Supervisor
  /** Of all listeners. */
  readonly overload: Overload
  /** Why nobody may come in at present; undefined: they may. */
  readonly closedBecause: () => Refusal | undefined
}

export class Listener implements TcpHandlers<Connection | null>, ConnectionOwner<Connection> {
  settings: ListenerSettings
  readonly connections = new Set<Connection>()
  private onEmpty: ReadonlyArray<() => void> = []
  private services: Services
  private allow: Networks = []
  private deny: Networks = []
  /** Some addresses are let in and others are not: only then is the address asked for. */
  private guarded = false
  private readonly options: ListenerOptions
  private serial = 0
  private refusing = 0
  private rate: TokenBucket | undefined
  private tidyAt = connectionsPerCollection

  constructor(options: ListenerOptions) {
    this.options = options
    this.settings = options.settings
    this.services = options.services
    this.change(options.settings, options.services)
  }

  /** From the next client on. */
  change(settings: ListenerSettings, services: Services): void {
    this.settings = settings
    this.services = services
    this.allow = networksOf(settings.allow)
    this.deny = networksOf(settings.deny)
    const { maxConnectionBurst, maxConnectionRate } = settings
    const now = services.scheduler.refresh()
    if (maxConnectionRate === 0) this.rate = undefined
    else if (this.rate?.sets(maxConnectionRate, maxConnectionBurst) !== true) {
      this.rate = new TokenBucket(maxConnectionRate, maxConnectionBurst, now)
    }
    for (const connection of this.connections) connection.limit(this.limits)
    this.guarded = this.allow.length > 0 || this.deny.length > 0
  }

  /** Of its zone, for clients that are there too. */
  get limits(): LimitsSettings {
    return this.services.settings.limits
  }

  admits(address: string): boolean {
    return !isWithin(this.deny, address) && (this.allow.length === 0 || isWithin(this.allow, address))
  }

  onPrefaceFailed(reason: string, peer: string): void {
    this.services.counters.proxy_headers_failed_total++
    this.services.log.warning("connection closed: no good PROXY header", { listener: this.settings.name, peer, reason })
  }

  /** Done when there is no connection (any more). */
  get emptied(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.connections.size === 0) return resume(Effect.void)
      this.onEmpty = [...this.onEmpty, () => resume(Effect.void)]
    })
  }

  open(socket: TcpSocket): Connection | null {
    const { overload, sessions, supervisor } = this.options
    const { services } = this
    if (this.guarded && !this.admits(socket.remoteAddress)) {
      services.counters.connections_denied_total++
      const { remoteAddress: peer } = socket
      services.log.warning("connection closed unanswered: its address is not let in", {
        listener: this.settings.name,
        peer
      })
      socket.destroy()
      return null
    }
    if (services.bans.keepsOut(socket)) {
      const { remoteAddress: peer } = socket
      services.log.warning("connection closed unanswered: its address is banned", {
        listener: this.settings.name,
        peer
      })
      socket.destroy()
      return null
    }
    const network = overload.networkOf(socket)
    const refusal = this.judge(network)
    if (refusal !== undefined && this.refusing >= refusalsAtATime) {
      services.counters.connections_refused_total++
      services.log.warning("connection closed unanswered: too many are being refused", { listener: this.settings.name })
      socket.destroy()
      return null
    }
    services.counters.connections_opened_total++
    const connection = new Connection(socket, services, sessions, refusal, this)
    if (refusal === undefined) {
      overload.connections++
      overload.handshakes.begin(connection, network)
    } else this.refusing++
    this.connections.add(connection)
    this.tidyUp()
    supervisor.startChild({ id: ++this.serial, kind: "worker", restart: "temporary", start: connection })
    return connection
  }

  data(connection: Connection | null, chunk: Buffer): void {
    connection?.onChunk(chunk)
  }

  drain(connection: Connection | null): void {
    connection?.onDrain()
  }

  close(connection: Connection | null): void {
    connection?.onSocketClosed()
  }

  admitted(connection: Connection): void {
    this.options.overload.handshakes.end(connection)
  }

  closed(connection: Connection): void {
    const { overload } = this.options
    this.connections.delete(connection)
    if (connection.refusal === undefined) {
      overload.connections--
      overload.handshakes.end(connection)
    } else this.refusing--
    if (this.connections.size > 0 || this.onEmpty.length === 0) return
    const waiting = this.onEmpty
    this.onEmpty = []
    for (const tell of waiting) tell()
  }

  /** Asks every client to go, MQTT 5 clients with this reason. */
  disconnectAll(reasonCode: number, reason: string): void {
    for (const connection of this.connections) connection.post({ _tag: "Close", reasonCode, reason })
  }

  /** A rush of clients must not leave the heap larger than those who stay need. Churn alone, in and out, does not count. */
  private tidyUp(): void {
    const count = this.connections.size
    this.tidyAt = Math.min(this.tidyAt, count + connectionsPerCollection)
    if (count < this.tidyAt) return
    this.tidyAt = count + connectionsPerCollection
    collectYoung()
  }

  private judge(network: string): Refusal | undefined {
    const { closedBecause, overload } = this.options
    const { maxConnections, name, type } = this.settings
    const now = this.services.scheduler.refresh()
    const closed = closedBecause()
    if (closed !== undefined) return closed
    if (this.connections.size - this.refusing >= maxConnections) {
      return overload.refuse(now, `listeners.${name}.max_connections`, ReasonCode.QuotaExceeded)
    }
    // Where TLS is spoken it was asked before the handshake.
    const tooFast = type === "tls" || type === "wss" ? undefined : overload.judgeRate(now, network)
    if (tooFast !== undefined) return tooFast
    if (this.rate?.take(1, now) === false) {
      this.services.counters.connections_rate_exceeded_total++
      return overload.refuse(now, `listeners.${name}.max_connection_rate`, ReasonCode.ConnectionRateExceeded)
    }
    return overload.judge(now, network)
  }
}
