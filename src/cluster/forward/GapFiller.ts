// Fills the gaps that nodes tell of (SessionGaps.ts): what this node still keeps for the node where a session was, and the session has not seen there nor
// anywhere since, is copied into the stream of the node where it is now, for that session alone. A part of the cluster, in its turns. Invariants: a
// gap is filled once; the copies are kept, and on disk, as what they are copies of; nothing is sent to a peer before the gaps of all have been filled.
import type { Message } from "../../mqtt/Message.ts"
import type { TopicTable } from "../../mqtt/TopicTable.ts"
import { RouteLevel } from "../../router/RemoteRoutes.ts"
import type { Journal } from "../../store/Journal.ts"
import { type Bus, type BusPart, FrameKind, type MembersListener, type MemberStatus, type Peer } from "../Bus.ts"
import { Entry, isAfter, nowhere, type Position, type Target } from "./Entry.ts"
import { packetAt } from "./forwardFrames.ts"
import type { Forwarder } from "./Forwarder.ts"
import { filledKind, type Gap, gapKey, readGaps, type Stay, writeIds } from "./gapFrames.ts"
import type { NodeNames } from "./outboxRecords.ts"

export interface GapFillerOptions {
  readonly bus: Bus
  readonly journal: Journal
  readonly topics: TopicTable
  readonly now: () => number
  readonly forwarder: Forwarder
  readonly names: NodeNames
  /** The routes of this peer are known as they are. */
  readonly isCurrent: (peer: string) => boolean
  /** It has a subscription that this message matches. */
  readonly matches: (peer: string, message: Message) => boolean
  /** To sessions of this node, where they match. */
  readonly deliverTo: (message: Message, clientIds: ReadonlySet<string>) => void
  readonly counts: { forward_filled_total: number }
}

/** Sessions that have been at the same places at the same times. */
interface Group {
  readonly key: string
  readonly stays: ReadonlyArray<Stay & { readonly number: number }>
  readonly clientIds: Set<string>
}

interface Job {
  readonly node: string
  readonly gaps: ReadonlyArray<Gap>
  readonly groups: ReadonlyArray<Group>
  /** Nodes where the sessions were. */
  readonly sources: Array<string>
  source: string | undefined
  from: Position
  readonly copies: Array<{ readonly entry: Entry; readonly isStored: boolean }>
  readonly targets: Map<string, ReadonlyArray<Target>>
}

/** Looked at in one turn. */
const entriesATime = 2_048
/** With one message; others go with a copy of it. */
const mostKeys = 1_000
const idsATime = 500
const busyAtMost = 3_000

export class GapFiller implements BusPart, MembersListener {
  readonly kinds = [FrameKind.Gaps, FrameKind.GapsTold]
  private readonly options: GapFillerOptions
  private readonly pending = new Map<string, Array<Gap>>()
  private readonly jobs = new Map<string, Job>()
  private busySince = 0
  /** Peers that have told all since their link came up. */
  private readonly told = new Set<string>()
  /** Gaps that were filled, and those of them that are told of again, by peer. */
  private readonly filled = new Map<string, Map<string, boolean>>()

  constructor(options: GapFillerOptions) {
    this.options = options
  }

  /** A row of the store: before the first link. */
  restore(key: string): void {
    const [node = "", id = ""] = key.split("\n")
    this.filledBy(node).set(id, false)
  }

  /** Nothing of it is missing, as far as this peer knows. */
  isDone(peer: string): boolean {
    return this.told.has(peer) && !this.isFilling(peer)
  }

  /** Others wait for it, but no longer than for a link: a peer of which all gaps are known, and not the routes, holds up nobody else. */
  get isBusy(): boolean {
    return (this.pending.size > 0 || this.jobs.size > 0) && this.options.now() - this.busySince < busyAtMost
  }

  private isFilling(peer: string): boolean {
    return this.pending.has(peer) || this.jobs.has(peer)
  }

  /** Also of a session of this node. */
  fill(node: string, gaps: ReadonlyArray<Gap>): void {
    const filled = this.filledBy(node)
    const again: Array<string> = []
    const fresh: Array<Gap> = []
    for (const gap of gaps) {
      if (!filled.has(gap.id)) fresh.push(gap)
      else {
        filled.set(gap.id, true)
        again.push(gap.id)
      }
    }
    this.say(node, again)
    if (fresh.length === 0) return
    if (this.pending.size === 0 && this.jobs.size === 0) this.busySince = this.options.now()
    const pending = this.pending.get(node)
    if (pending === undefined) this.pending.set(node, fresh)
    else pending.push(...fresh)
    this.options.forwarder.wake()
  }

  /** In a turn of the cluster. */
  work(): void {
    for (const [node, gaps] of this.pending) {
      if (this.jobs.has(node) || !this.isReady(node)) continue
      this.pending.delete(node)
      this.jobs.set(node, this.job(node, gaps))
    }
    for (const job of this.jobs.values()) {
      if (!this.isReady(job.node)) continue
      if (this.step(job)) this.finish(job)
      else this.options.forwarder.wake()
    }
  }

  private isReady(node: string): boolean {
    const { bus, forwarder, isCurrent } = this.options
    return node === bus.self.name || (isCurrent(node) && forwarder.stream(node).isReady)
  }

  private job(node: string, gaps: ReadonlyArray<Gap>): Job {
    const { names } = this.options
    const groups = new Map<string, Group>()
    const sources = new Set<string>()
    for (const { clientId, stays } of gaps) {
      const key = gapKey(stays)
      const group = groups.get(key)
      if (group === undefined) {
        groups.set(key, {
          key,
          stays: stays.map((stay) => ({ ...stay, number: names.numberOf(stay.node) })),
          clientIds: new Set([clientId])
        })
        for (const stay of stays) if (stay.node !== node) sources.add(stay.node)
      } else group.clientIds.add(clientId)
    }
    return {
      node,
      gaps,
      groups: [...groups.values()],
      sources: [...sources],
      source: undefined,
      from: nowhere,
      copies: [],
      targets: new Map()
    }
  }

  /** True: all has been looked at. */
  private step(job: Job): boolean {
    const { forwarder } = this.options
    job.source ??= job.sources.pop()
    if (job.source === undefined) return true
    const entries = forwarder.known(job.source)?.entriesAfter(job.from, entriesATime) ?? []
    for (const entry of entries) this.copy(job, job.source, entry)
    const last = entries[entries.length - 1]
    job.from = last === undefined ? nowhere : { epoch: last.epoch, sequence: last.sequence }
    if (entries.length < entriesATime) job.source = undefined
    return false
  }

  private copy(job: Job, source: string, entry: Entry): void {
    const { given } = entry
    if (given === undefined || !entry.target.routes || !entry.isOwed) return
    const { bus, deliverTo, forwarder, matches, names, topics } = this.options
    const number = names.numberOf(source)
    for (let at = entry.start, place = entry.sequence; at < entry.end; place++) {
      const { buffer, end, epoch, expiresAt, publisher, receivedAt, shape } = entry
      const owed = job.groups.filter((group) => isMissing(group, number, given, entry, { epoch, sequence: place }))
      if (owed.length === 0 && entry.count === 1) return
      const message = packetAt(buffer, at, end, shape, publisher, receivedAt, expiresAt, topics)
      at = message.end
      if (owed.length === 0) continue
      if (job.node === bus.self.name) {
        for (const { clientIds } of owed) deliverTo(message, clientIds)
        continue
      }
      if (!matches(job.node, message)) continue
      const isStored = entry.isStored || entry.forward === null
      for (const [index, target] of this.targetsOf(job, owed).entries()) {
        const last = job.copies[job.copies.length - 1]
        if (
          index === 0 && last?.isStored === isStored && last.entry.epoch === epoch &&
          last.entry.forward === entry.forward && last.entry.follows(message, target, place, given)
        ) continue
        const { forward } = entry
        if (forward !== null) forward.open++
        const position = { epoch, sequence: index === 0 ? place : forwarder.nextSequence() }
        const copy = new Entry(position, message, target, RouteLevel.Owed, this.options.now(), forward, given)
        job.copies.push({ entry: copy, isStored })
      }
    }
  }

  /** One object for the same sessions, so that runs join. */
  private targetsOf(job: Job, groups: ReadonlyArray<Group>): ReadonlyArray<Target> {
    const key = groups.map((group) => group.key).join()
    const known = job.targets.get(key)
    if (known !== undefined) return known
    const targets: Array<Target> = []
    for (let at = 0; at < groups.length; at += mostKeys) {
      const keys = groups.slice(at, at + mostKeys).map((group) => group.key)
      targets.push({ routes: false, groups: keys, hops: 0 })
    }
    job.targets.set(key, targets)
    return targets
  }

  private finish(job: Job): void {
    const { counts, forwarder, journal } = this.options
    const { copies, gaps, node } = job
    this.jobs.delete(node)
    copies.sort(({ entry: one }, { entry: other }) => isAfter(one, other) ? 1 : -1)
    for (const { entry } of copies) counts.forward_filled_total += entry.count
    if (copies.length > 0) forwarder.stream(node).insert(copies, () => forwarder.nextSequence())
    const filled = this.filledBy(node)
    for (const { id } of gaps) {
      filled.set(id, true)
      if (copies.length > 0) journal.putRecord(filledKind, `${node}\n${id}`, new Uint8Array(1))
    }
    this.say(node, gaps.map(({ id }) => id))
    forwarder.wake()
  }

  /** Behind the copies: until then the other node needs to know whom they are for. */
  private say(node: string, ids: ReadonlyArray<string>): void {
    const { bus, forwarder } = this.options
    if (ids.length === 0 || node === bus.self.name) return
    forwarder.whenSent(node, () => {
      // What cannot be said is told of again at the next link.
      for (let at = 0; at < ids.length; at += idsATime) {
        bus.send(node, FrameKind.GapsFilled, writeIds(ids.slice(at, at + idsATime)))
      }
    })
  }

  private filledBy(node: string): Map<string, boolean> {
    let filled = this.filled.get(node)
    if (filled === undefined) this.filled.set(node, filled = new Map())
    return filled
  }

  linkUp({ name }: Peer): void {
    this.linkDown({ name })
    for (const id of this.filledBy(name).keys()) this.filledBy(name).set(id, false)
  }

  linkDown({ name }: Pick<Peer, "name">): void {
    this.told.delete(name)
    this.pending.delete(name)
    const job = this.jobs.get(name)
    if (job === undefined) return
    this.jobs.delete(name)
    for (const { entry } of job.copies) entry.forward?.settle()
  }

  receive({ name }: Peer, kind: FrameKind, bytes: Buffer): void {
    if (kind === FrameKind.Gaps) return this.fill(name, readGaps(bytes, this.options.bus.self.name))
    this.told.add(name)
    // The others it has heard of.
    for (const [id, again] of this.filledBy(name)) if (!again) this.forget(name, id)
    this.options.forwarder.wake()
  }

  private forget(name: string, id: string): void {
    this.filledBy(name).delete(id)
    this.options.journal.deleteRecordLazily(filledKind, `${name}\n${id}`)
  }

  memberChanged(name: string, status: MemberStatus | "forgotten"): void {
    if (status !== "left" && status !== "forgotten") return
    for (const id of this.filledBy(name).keys()) this.forget(name, id)
    this.filled.delete(name)
  }
}

/** What is kept for `source`: whether these sessions should have had it there and have seen it nowhere. */
const isMissing = (
  { stays }: Group,
  source: number,
  given: ReadonlyArray<number>,
  entry: Position,
  place: Position
): boolean => {
  const now = stays[stays.length - 1]?.number
  // Where several were to have it for them, the last of these.
  const from = stays.findLast(({ number, until }) => number !== now && given.includes(number) && isAfter(entry, until))
  if (from?.number !== source) return false
  return !stays.some(({ after, number, until }) =>
    given.includes(number) && isAfter(place, after) && !isAfter(place, until)
  )
}
