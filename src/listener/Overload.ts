// The judge at all doors: whether the node can take one more client, and which mark is in the way. Plain numbers in, a refusal out; the
// listeners ask at each new socket, the clock tells the time and how late the event loop is. Those who are in are never touched.
// Invariant: a mark is entered once and left once, with one line in the log each time, however many are refused in between.
import type { LimitsSettings, Settings } from "../config/Settings.ts"
import type { Refusal } from "../connection/handshake.ts"
import type { Counters } from "../metrics/Counters.ts"
import type { EventLog } from "../metrics/EventLog.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import { AddressRates } from "./AddressRates.ts"
import { networkKey } from "../access/Access.ts"
import { Handshakes } from "./Handshakes.ts"

export interface OverloadOptions {
  readonly settings: Settings
  readonly counters: Counters
  readonly log: EventLog
  /** Whether the process has more memory than node.memory_high_watermark grants. */
  readonly memoryIsHigh: (now: number) => boolean
}

/** A mark that keeps new clients out at present. */
export interface Mark {
  readonly setting: string
  readonly since: number
  readonly refused: number
}

interface Entered {
  readonly since: number
  /** When the limit was last seen to be reached. */
  reachedAt: number
  refused: number
}

/** A limit on a count is left when it has not been reached for this time: one client that tries again and again is one state. */
const calmMillis = 10_000
/** Memory and the event loop refuse everybody while they are entered, so they are left sooner. */
const conditionCalmMillis = 1_000

const memoryMark = "node.memory_high_watermark"
const lagMark = "overload.max_event_loop_lag"
const conditions: ReadonlySet<string> = new Set([memoryMark, lagMark])

export class Overload {
  /** Of all listeners, without those that are being refused; the listeners count. */
  connections = 0
  readonly handshakes = new Handshakes()
  readonly addressRates = new AddressRates()
  /** Smoothed, ms. */
  eventLoopLagMillis = 0
  private readonly options: OverloadOptions
  private readonly entered = new Map<string, Entered>()

  constructor(options: OverloadOptions) {
    this.options = options
    this.limit(options.settings.limits)
  }

  /** From the next socket on. */
  limit({ connectionBurstPerAddress, connectionRatePerAddress, trackedAddresses }: LimitsSettings): void {
    this.addressRates.change(connectionRatePerAddress, connectionBurstPerAddress, trackedAddresses)
  }

  /** Does this network (`networkOf`) open connections too fast? Counts this one. */
  judgeRate(now: number, network: string): Refusal | undefined {
    if (this.addressRates.isOff || this.addressRates.admits(network, now)) return undefined
    this.options.counters.connections_rate_exceeded_total++
    return this.refuse(now, "limits.connection_rate_per_address", ReasonCode.ConnectionRateExceeded)
  }

  /** May one more come in? Undefined: yes. `network`: of `networkOf`. */
  judge(now: number, network: string): Refusal | undefined {
    const { maxConnections } = this.options.settings.overload
    const { QuotaExceeded, ServerBusy } = ReasonCode
    if (this.entered.has(memoryMark)) return this.refused(memoryMark, ServerBusy)
    if (this.entered.has(lagMark)) return this.refused(lagMark, ServerBusy)
    if (maxConnections > 0 && this.connections >= maxConnections) {
      return this.refuse(now, "overload.max_connections", QuotaExceeded)
    }
    return this.judgeHandshake(now, network)
  }

  /** A handshake below MQTT's own, TLS's: counted with the others until `handshakes.end`. False: no place, and no words to say it in. */
  beginBelow(now: number, connection: object, remoteAddress: string): boolean {
    const network = this.networkOf({ remoteAddress })
    if (this.judgeRate(now, network) !== undefined || this.judgeHandshake(now, network) !== undefined) return false
    this.handshakes.begin(connection, network)
    return true
  }

  /** What `judge` wants to know of an address; asking a socket for it costs something, so it is not asked for nothing. */
  networkOf(peer: { readonly remoteAddress: string }): string {
    const wanted = this.options.settings.overload.maxHandshakesPerAddress > 0 || !this.addressRates.isOff
    return wanted ? networkKey(peer.remoteAddress) : ""
  }

  /** A limit on a count is reached, this one or one of a listener's own: the refusal, and the mark is entered. */
  refuse(now: number, setting: string, reasonCode: number): Refusal {
    this.reached(now, setting)
    return this.refused(setting, reasonCode)
  }

  /** Ten times a second, `late` ms after it was due. */
  tick(now: number, late: number): void {
    const { maxEventLoopLagMillis } = this.options.settings.overload
    // One long pause alone, or a clock that was set, is no overload: it counts for a quarter, and never as more than the mark.
    const most = maxEventLoopLagMillis > 0 ? maxEventLoopLagMillis * 4 : Infinity
    this.eventLoopLagMillis += (Math.min(Math.max(0, late), most) - this.eventLoopLagMillis) / 4
    if (maxEventLoopLagMillis > 0 && this.eventLoopLagMillis > maxEventLoopLagMillis) this.reached(now, lagMark)
    if (this.options.memoryIsHigh(now)) this.reached(now, memoryMark)
    for (const [setting, mark] of this.entered) {
      const calm = conditions.has(setting) ? conditionCalmMillis : calmMillis
      if (now - mark.reachedAt < calm) continue
      this.entered.delete(setting)
      this.options.log.info("overload over: new clients are let in", {
        limit: setting,
        refused: mark.refused,
        seconds: Math.round((now - mark.since) / 1000)
      })
    }
  }

  get marks(): ReadonlyArray<Mark> {
    return [...this.entered].map(([setting, { refused, since }]) => ({ setting, since, refused }))
  }

  private judgeHandshake(now: number, network: string): Refusal | undefined {
    const { maxHandshakes, maxHandshakesPerAddress } = this.options.settings.overload
    const { QuotaExceeded } = ReasonCode
    // Before the limit of all: one network that floods is told so, and does not count as the node's overload.
    if (maxHandshakesPerAddress > 0 && network !== "" && this.handshakes.from(network) >= maxHandshakesPerAddress) {
      return this.refuse(now, "overload.max_handshakes_per_address", QuotaExceeded)
    }
    if (this.handshakes.size >= maxHandshakes) return this.refuse(now, "overload.max_handshakes", QuotaExceeded)
    return undefined
  }

  private reached(now: number, setting: string): void {
    const mark = this.entered.get(setting)
    if (mark !== undefined) {
      mark.reachedAt = now
      return
    }
    this.entered.set(setting, { since: now, reachedAt: now, refused: 0 })
    this.options.counters.overload_entered_total++
    this.options.log.warning("overload: new clients are refused", { limit: setting })
  }

  private refused(setting: string, reasonCode: number): Refusal {
    const mark = this.entered.get(setting)
    if (mark !== undefined) mark.refused++
    this.options.counters.overload_refused_total++
    return { reasonCode: this.redirected(setting, reasonCode), reason: `${setting} reached` }
  }

  /** Who is too fast is not sent to be so elsewhere; everybody else is, where there is an elsewhere. */
  private redirected(setting: string, reasonCode: number): number {
    const { connection, overload } = this.options.settings
    const itsOwnFault = setting === "overload.max_handshakes_per_address" ||
      reasonCode === ReasonCode.ConnectionRateExceeded
    if (itsOwnFault || connection.serverReference === "" || overload.redirect === "none") return reasonCode
    return overload.redirect === "server_moved" ? ReasonCode.ServerMoved : ReasonCode.UseAnotherServer
  }
}
