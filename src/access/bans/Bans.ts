// The bans of this node: asked at the door and at CONNECT, changed by the administrator and by flapping, kept in the store. Plain code.
// Invariants: what is in force is what the store was told; the number of bans has a bound; a ban that is put in reaches who is connected
// by `onBanned`, and who is not banned is never touched.
import type { BansSettings } from "../../config/Settings.ts"
import type { Counters } from "../../metrics/Counters.ts"
import type { EventLog } from "../../metrics/EventLog.ts"
import { ReasonCode } from "../../mqtt/ReasonCode.ts"
import type { Journal } from "../../store/Journal.ts"
import { type Ban, banKey, type BanKind, banKinds, decodeBan, encodeBan } from "./Ban.ts"
import { BanList } from "./BanList.ts"
import { Flapping } from "./Flapping.ts"

/** Of its records in the store. */
export const banRecords = "ban"

export interface BansParts {
  readonly journal: Journal
  readonly counters: Counters
  readonly log: EventLog
  /** ms since 1970, by the node's clock. */
  readonly now: () => number
}

/** How often those that have ended are taken out, ms; nobody waits for it. */
const sweepMillis = 10_000

const flappingLimits = ({ flappingDisconnects, flappingTracked, flappingWindowMillis }: BansSettings) => ({
  disconnects: flappingDisconnects,
  windowMillis: flappingWindowMillis,
  tracked: flappingTracked
})

export class Bans {
  readonly list = new BanList()
  /** Ends the connections of those whom a new ban concerns. */
  onBanned: (ban: Ban) => void = () => {}
  /** The group of the journal that has the last change. */
  changedIn = 0
  private settings: BansSettings
  private readonly flapping: Flapping
  private readonly parts: BansParts
  private sweptAt = 0

  constructor(settings: BansSettings, parts: BansParts) {
    this.settings = settings
    this.parts = parts
    this.flapping = new Flapping(flappingLimits(settings))
  }

  /** From the next ban and the next disconnect on; the bans that are there stay. */
  change(settings: BansSettings): void {
    this.settings = settings
    this.flapping.change(flappingLimits(settings))
  }

  /** Before the broker listens: what the store has. */
  restore(ban: Ban): void {
    this.list.put(ban)
  }

  /** At the door, before anything is read. */
  keepsOut(peer: { readonly remoteAddress: string }): boolean {
    if (!this.list.hasAddresses) return false
    const asked = { clientId: undefined, userName: undefined, address: peer.remoteAddress }
    if (this.list.find(asked, this.parts.now()) === undefined) return false
    this.parts.counters.connections_banned_total++
    return true
  }

  /** At CONNECT: what it is refused with; undefined: it is not banned. */
  refusal(who: {
    readonly clientId: string
    readonly userName: string | undefined
    readonly address: string | undefined
  }): { readonly reasonCode: number; readonly reason: string } | undefined {
    if (this.list.size === 0) return undefined
    const ban = this.list.find(who, this.parts.now())
    if (ban === undefined) return undefined
    this.parts.counters.connections_banned_total++
    return { reasonCode: ReasonCode.Banned, reason: `banned: ${ban.kind} ${ban.value}` }
  }

  /** False: there are as many as there may be. */
  add(ban: Ban): boolean {
    if (this.list.get(ban.kind, ban.value) === undefined && this.list.size >= this.settings.maxBans) {
      this.sweep()
      if (this.list.size >= this.settings.maxBans) return false
    }
    this.put(ban)
    if (this.settings.dropConnected) this.onBanned(ban)
    return true
  }

  /** False: there is none. */
  remove(kind: BanKind, value: string, by: string): boolean {
    const ban = this.list.delete(kind, value)
    if (ban === undefined) return false
    this.changedIn = this.parts.journal.deleteRecord(banRecords, banKey(ban))
    this.parts.log.info("ban removed", { kind, value, by })
    return ban.until > this.parts.now()
  }

  /** As another node has it; null: removed there. False: it is none, or one too many. */
  take(key: string, value: Uint8Array | null): boolean {
    if (value === null) {
      const kind = banKinds.find((one) => key.startsWith(`${one}:`))
      if (kind !== undefined) this.remove(kind, key.slice(kind.length + 1), "another node")
      return kind !== undefined
    }
    const ban = decodeBan(value)
    return ban !== undefined && banKey(ban) === key && this.add(ban)
  }

  /** A client that was let in has gone, whatever the reason. */
  disconnected(clientId: string): void {
    if (this.settings.flappingDisconnects === 0) return
    const { counters, log, now } = this.parts
    const at = now()
    if (!this.flapping.disconnected(clientId, at)) return
    counters.flapping_detected_total++
    const { flappingBanMillis, flappingDisconnects, flappingWindowMillis, maxBans } = this.settings
    const reason = `${flappingDisconnects} disconnects within ${flappingWindowMillis / 1000} s`
    const known = this.list.get("client_id", clientId)
    if (known === undefined && this.list.size >= maxBans) this.sweep()
    if (known === undefined && this.list.size >= maxBans) {
      log.warning("flapping client not banned: bans.max_bans is reached", { client_id: clientId, reason })
      return
    }
    // What the administrator has said for longer is not shortened.
    if (known !== undefined && known.until >= at + flappingBanMillis) return
    this.put({
      kind: "client_id",
      value: clientId,
      reason,
      by: "flapping",
      since: at,
      until: at + flappingBanMillis
    })
  }

  /** Now and then. */
  tick(now: number): void {
    if (now - this.sweptAt < sweepMillis && now >= this.sweptAt) return
    this.sweptAt = now
    if (this.list.size > 0) this.sweep()
  }

  private put(ban: Ban): void {
    this.list.put(ban)
    this.changedIn = this.parts.journal.putRecord(banRecords, banKey(ban), encodeBan(ban))
    const { by, kind, reason, until, value } = ban
    this.parts.log.warning("banned", {
      kind,
      value,
      reason: reason === "" ? undefined : reason,
      by,
      until: timeText(until)
    })
  }

  private sweep(): void {
    for (const ban of this.list.expire(this.parts.now())) {
      this.changedIn = this.parts.journal.deleteRecord(banRecords, banKey(ban))
      this.parts.log.info("ban over", { kind: ban.kind, value: ban.value, by: ban.by })
    }
  }
}

const timeText = (until: number): string => until === Infinity ? "for ever" : new Date(until).toISOString()
