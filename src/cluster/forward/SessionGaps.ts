// The gaps of the sessions that are here: what members that could not be asked when a session moved may keep for the node where it was. Such a member is told
// when it is reached, and sends what is missing (GapFiller.ts). A part of the cluster, in its turns; the take-over says who comes and goes.
// Invariants: a gap stays here, and on disk, until its origin has said that it is filled or will never come; when the session moves on it goes along.
import type { Place } from "../../router/RemoteRoutes.ts"
import type { Journal } from "../../store/Journal.ts"
import { type Bus, type BusPart, FrameKind, type MembersListener, type MemberStatus, type Peer } from "../Bus.ts"
import { nowhere, type Position } from "./Entry.ts"
import {
  forever,
  type Gap,
  gapKey,
  gapKind,
  gapOf,
  gapValue,
  mostStays,
  readIds,
  readSeen,
  type Stay,
  writeGaps,
  writeIds,
  writeSeen
} from "./gapFrames.ts"

export interface SessionGapsOptions {
  readonly bus: Bus
  readonly journal: Journal
  readonly now: () => number
  /** How far the messages of a peer have come here. */
  readonly reached: (peer: string) => Position
  /** All nodes that may keep something for this one. */
  readonly others: () => Iterable<string>
  /** Of this node's own messages. */
  readonly fill: (gap: Gap) => void
  readonly counts: { cluster_gaps_dropped_total: number }
}

/** For one origin; the oldest go first. */
const mostGaps = 100_000
/** So long after a session has come its node may still hear from the former one what was missing there, ms. */
const enteredMillis = 60_000
const mostEntered = 10_000

interface Entered {
  readonly at: number
  /** Undefined: a session was here before, and the other one is merged into it. */
  readonly reached: ReadonlyMap<string, Position> | undefined
}

export class SessionGaps implements BusPart, MembersListener {
  readonly kinds = [FrameKind.SessionGaps, FrameKind.GapsFilled]
  private readonly options: SessionGapsOptions
  /** By origin and client id. */
  private readonly gaps = new Map<string, Map<string, Gap>>()
  /** By what messages for them name. Of different origins there may be some, but what they are sent says which. */
  private readonly clients = new Map<string, Set<string>>()
  private readonly entered = new Map<string, Entered>()
  /** Of sessions that leave: what the next node is to be told once it is over. */
  private readonly leaving = new Map<string, ReadonlyMap<string, ReadonlyArray<Stay>>>()
  /** Of those that are elsewhere: what the next node was told already, while what comes here still follows. */
  private readonly told = new Map<string, ReadonlySet<string>>()
  /** Frames for nodes that sessions have gone to. */
  private seen: Array<{ readonly to: string; readonly bytes: Uint8Array }> = []
  /** Origins with a link that are still to be told of these; then that this is all. */
  private readonly telling = new Map<string, { list: Array<Gap>; at: number; ends: boolean }>()
  private serial = 0

  constructor(options: SessionGapsOptions) {
    this.options = options
  }

  get size(): number {
    let size = 0
    for (const { size: more } of this.gaps.values()) size += more
    return size
  }

  /** The sessions that these keys stand for. */
  clientsOf(keys: ReadonlyArray<string>): ReadonlySet<string> {
    const [first = ""] = keys
    if (keys.length === 1) return this.clients.get(first) ?? new Set()
    return new Set(keys.flatMap((key) => [...this.clients.get(key) ?? []]))
  }

  /** False: of no use. */
  restore(id: string, value: Uint8Array): boolean {
    const gap = gapOf(id, value)
    if (gap !== undefined) this.add(gap)
    return gap !== undefined
  }

  // --- sessions come and go ----------------------------------------------------------------------------------------

  /** It has come, and what comes from here on is for it. `merges`: one was here before, since `subscribedAt` where that is known. */
  cameIn(clientId: string, merges: boolean, subscribedAt: ReadonlyArray<Place> | null): void {
    const { now, others, reached } = this.options
    this.entered.delete(clientId)
    this.told.delete(clientId)
    if (this.entered.size >= mostEntered) {
      for (const oldest of this.entered.keys()) {
        this.entered.delete(oldest)
        break
      }
    }
    const positions = !merges
      ? new Map([...others()].map((name) => [name, reached(name)]))
      : subscribedAt === null
      ? undefined
      : new Map(subscribedAt.map(({ epoch, node, sequence }) => [node, { epoch, sequence }]))
    this.entered.set(clientId, { at: now(), reached: positions })
  }

  /** What comes from here on does not go with it. `fenced`: nodes whose messages it has all seen, or gets at its next node. */
  leaves(clientId: string, fenced: ReadonlySet<string>, to: string): void {
    const { bus, others, reached } = this.options
    const origins = new Map<string, ReadonlyArray<Stay>>()
    const told = this.told.get(clientId)
    for (const name of others()) {
      if (fenced.has(name) || told?.has(name) === true || name === to || name === bus.self.name) continue
      origins.set(name, [{ node: bus.self.name, after: nowhere, until: reached(name) }])
    }
    for (const [origin, gaps] of this.gaps) {
      const gap = gaps.get(clientId)
      if (gap === undefined) continue
      const until = reached(origin)
      origins.set(origin, gap.stays.map((stay) => stay.until === forever ? { ...stay, until } : stay))
    }
    if (origins.size > 0) this.leaving.set(clientId, origins)
    else this.leaving.delete(clientId)
  }

  stayed(clientId: string): void {
    this.leaving.delete(clientId)
  }

  /** It has ended here, and is there. */
  hasLeft(clientId: string, to: string): void {
    const origins = this.leaving.get(clientId)
    if (origins === undefined) return
    this.leaving.delete(clientId)
    if (this.told.size >= mostEntered) this.told.clear()
    this.told.set(clientId, new Set([...this.told.get(clientId) ?? [], ...origins.keys()]))
    this.seen.push({ to, bytes: writeSeen({ clientId, origins }).slice() })
    for (const gaps of this.gaps.values()) {
      const gap = gaps.get(clientId)
      if (gap !== undefined) this.forget(gap)
    }
    this.sendSeen()
  }

  private sendSeen(): void {
    this.seen = this.seen.filter(({ bytes, to }) => !this.options.bus.send(to, FrameKind.SessionGaps, bytes))
  }

  private onSeen(from: string, bytes: Buffer): void {
    const { bus, fill, journal, reached } = this.options
    const { clientId, origins } = readSeen(bytes)
    const entered = this.entered.get(clientId)
    for (const [origin, before] of origins) {
      const known = this.gaps.get(origin)?.get(clientId)
      // Of one without a link nothing has come since; of others all that has is taken to have been for it.
      const unheard = bus.peers.has(origin) ? nowhere : reached(origin)
      const after = entered === undefined ? unheard : entered.reached?.get(origin) ?? nowhere
      const here = known?.stays.filter(({ until }) => until === forever) ??
        [{ node: bus.self.name, after, until: forever }]
      const formerly = [...known?.stays.filter(({ until }) => until !== forever) ?? [], ...before]
      const id = `${bus.self.epoch}-${++this.serial}-${from}`
      const gap = { id, origin, clientId, stays: [...formerly.slice(-mostStays), ...here] }
      if (known !== undefined) this.forget(known)
      if (origin === bus.self.name) {
        fill(gap)
        continue
      }
      const gaps = this.add(gap)
      journal.putRecord(gapKind, id, gapValue(gap))
      if (gaps.size > mostGaps) this.dropOldest(gaps)
      if (bus.peers.has(origin)) this.tell(origin, [gap], false)
    }
  }

  private add(gap: Gap): ReadonlyMap<string, Gap> {
    const { clientId, origin, stays } = gap
    let gaps = this.gaps.get(origin)
    if (gaps === undefined) this.gaps.set(origin, gaps = new Map())
    gaps.set(clientId, gap)
    const key = gapKey(stays)
    const clients = this.clients.get(key)
    if (clients === undefined) this.clients.set(key, new Set([clientId]))
    else clients.add(clientId)
    return gaps
  }

  private dropOldest(gaps: ReadonlyMap<string, Gap>): void {
    for (const gap of gaps.values()) {
      this.options.counts.cluster_gaps_dropped_total++
      return this.forget(gap)
    }
  }

  private forget({ clientId, id, origin, stays }: Gap): void {
    const key = gapKey(stays)
    const clients = this.clients.get(key)
    clients?.delete(clientId)
    if (clients?.size === 0) this.clients.delete(key)
    const gaps = this.gaps.get(origin)
    gaps?.delete(clientId)
    if (gaps?.size === 0) this.gaps.delete(origin)
    this.options.journal.deleteRecordLazily(gapKind, id)
  }

  // --- their origins -----------------------------------------------------------------------------------------------

  private tell(origin: string, list: ReadonlyArray<Gap>, ends: boolean): void {
    const telling = this.telling.get(origin)
    if (telling === undefined) this.telling.set(origin, { list: [...list], at: 0, ends })
    else {
      telling.list.push(...list)
      telling.ends ||= ends
    }
    this.tellOn(origin)
  }

  private tellOn(origin: string): void {
    const { bus } = this.options
    const telling = this.telling.get(origin)
    if (telling === undefined) return
    while (telling.at < telling.list.length) {
      if (bus.isCongested(origin)) return
      const { bytes, next } = writeGaps(telling.list, telling.at)
      if (!bus.send(origin, FrameKind.Gaps, bytes)) return
      telling.at = next
    }
    if (telling.ends && !bus.send(origin, FrameKind.GapsTold, writeIds([]))) return
    this.telling.delete(origin)
  }

  linkUp({ name }: Peer): void {
    this.telling.delete(name)
    this.tell(name, [...this.gaps.get(name)?.values() ?? []], true)
    this.sendSeen()
  }

  linkDown({ name }: Peer): void {
    this.telling.delete(name)
  }

  receive({ name }: Peer, kind: FrameKind, bytes: Buffer): void {
    if (kind === FrameKind.SessionGaps) return this.onSeen(name, bytes)
    const filled = new Set(readIds(bytes))
    for (const gap of [...this.gaps.get(name)?.values() ?? []]) if (filled.has(gap.id)) this.forget(gap)
  }

  writable({ name }: Peer): void {
    this.tellOn(name)
    this.sendSeen()
  }

  tick(now: number): void {
    if (this.seen.length > 0) this.sendSeen()
    for (const name of [...this.telling.keys()]) this.tellOn(name)
    for (const [clientId, { at }] of this.entered) {
      if (now - at < enteredMillis) return
      this.entered.delete(clientId)
    }
  }

  memberChanged(name: string, status: MemberStatus | "forgotten"): void {
    if (status !== "left" && status !== "forgotten") return
    this.seen = this.seen.filter(({ to }) => to !== name)
    for (const gap of [...this.gaps.get(name)?.values() ?? []]) this.forget(gap)
  }
}
