// Who is in the cluster and who lives, by gossip (SWIM): each node asks one other now and then, directly and then by way of others; who
// gives no answer is suspected, and dead unless it objects in time. Plain code over the bus, in the cluster's turn. Invariant: only the
// member itself makes itself younger (incarnation), so every piece of news has one order on all nodes (MemberTable.ts).
import { BodyReader } from "../BodyReader.ts"
import { BodyWriter } from "../BodyWriter.ts"
import {
  type Bus,
  type BusPart,
  FrameKind,
  type Members,
  type MembersListener,
  type MemberStatus,
  type Peer
} from "../Bus.ts"
import { GossipQueue } from "./GossipQueue.ts"
import { type Change, type Member, type MemberEntry, MemberTable, readEntry, writeEntry } from "./MemberTable.ts"
import { Probes } from "./Probes.ts"

export interface MembershipOptions {
  readonly bus: Bus
  /** host:port where the others reach this node. */
  readonly address: string
  readonly now: number
  readonly probeIntervalMillis: number
  readonly probeTimeoutMillis: number
  readonly suspicionTimeoutMillis: number
  readonly forgetAfterMillis: number
  readonly maxMembers: number
  /** 0 to 1. */
  readonly random: () => number
  /** Where a member is; undefined: it is none any more. */
  readonly onAddress?: (name: string, address: string | undefined) => void
  readonly onMajority?: (seen: boolean) => void
  readonly onFull?: (name: string) => void
  /** A suspect with a link to this node has not objected in time: the link is of no use. */
  readonly onBuried?: (name: string) => void
  /** Another node has said that it is this one. */
  readonly onDouble?: (epoch: number) => void
}

const tickMillis = 100
/** While there is news it goes to so many nodes so often. */
const gossipMillis = 200
const gossipTo = 3
const entriesPerGossip = 64
/** A suspect is reminded by about so many nodes each time. */
const remindersEach = 3
const lateReminder = 0.25
/** Of a whole table, in one frame. */
const entriesPerFrame = 2_000
const helpers = 3
const exchangeMillis = 30_000
/** Whole tables up to so many members go to everyone who has another one; larger ones once in so long for each member in them. */
const smallTable = 20
const millisPerEntry = 2
const housekeepingMillis = 1_000
/** Flags of a MemberState frame. */
const wantsTable = 1
const hasDigest = 2

export class Membership implements BusPart, Members {
  readonly kinds = [
    FrameKind.Probe,
    FrameKind.ProbeAck,
    FrameKind.ProbeRequest,
    FrameKind.MemberState,
    FrameKind.Leaving
  ]
  readonly self: string
  readonly table: MemberTable
  private readonly options: MembershipOptions
  private readonly bus: Bus
  private readonly listeners: Array<MembersListener> = []
  private readonly gossip = new GossipQueue()
  private readonly probes = new Probes()
  private readonly suspects = new Set<Member>()
  private readonly own: Member
  private readonly writer = new BodyWriter(4096)
  private ring: Array<string> = []
  private now: number
  private probeAt: number
  private gossipAt = 0
  private exchangeAt: number
  private housekeepingAt: number
  private tableAt = 0
  private majorityIsKnown = false
  private isLeaving = false
  /** It sees more than half of those that it knows and that have not left, itself among them. */
  seesMajority = true

  constructor(options: MembershipOptions) {
    this.options = options
    this.bus = options.bus
    this.now = options.now
    const { epoch, name } = options.bus.self
    this.self = name
    this.table = new MemberTable(options.maxMembers, options.forgetAfterMillis)
    const { address } = options
    this.table.apply({ name, epoch, incarnation: 0, status: "alive", address, ageSeconds: 0 }, options.now)
    this.own = this.table.get(name) ??
      { name, epoch, incarnation: 0, status: "alive", address, since: options.now }
    const { probeIntervalMillis, random } = options
    this.probeAt = options.now + Math.round(random() * probeIntervalMillis)
    this.exchangeAt = options.now + Math.round(random() * exchangeMillis)
    this.housekeepingAt = options.now + housekeepingMillis
  }

  listen(listener: MembersListener): void {
    this.listeners.push(listener)
  }

  status(name: string): MemberStatus | undefined {
    const status = this.table.get(name)?.status
    return status === "left" ? undefined : status
  }

  get present(): ReadonlyArray<string> {
    return this.table.present
  }

  /** Says that this node stops, and may come again: nobody has to wait for its death. */
  goAway(): void {
    if (!this.isLeaving) this.part("dead", 0)
  }

  /** After `leave`: it counts again. */
  rejoin(): void {
    if (!this.isLeaving) return
    this.isLeaving = false
    this.learnOfItself(this.table.entryOf(this.own, this.now))
  }

  private judgeMajority(): void {
    this.majorityIsKnown = true
    let seen = 0
    let all = 0
    for (const { status } of this.table.members.values()) {
      if (status === "left") continue
      all++
      // Not by links: one that is not made yet, or that only these two have lost, is no split.
      if (status !== "dead") seen++
    }
    const majority = seen * 2 > all
    if (majority === this.seesMajority) return
    this.seesMajority = majority
    this.options.onMajority?.(majority)
  }

  /** Where the others reach this node, once it listens. */
  announce(address: string): void {
    this.own.address = address
    this.gossip.add(this.table.entryOf(this.own, this.now))
  }

  /** There is room for it, or it is a member already. */
  admits(name: string): boolean {
    return this.table.get(name) !== undefined || !this.table.isFull
  }

  /** Says good-bye: the others do not count with this node from then on, and do not call it. */
  leave(): void {
    if (!this.isLeaving) this.part("left", 1)
  }

  private part(status: "left" | "dead", younger: number): void {
    this.isLeaving = true
    const { address, epoch, incarnation, name } = this.own
    this.learn({ name, epoch, incarnation: incarnation + younger, status, address, ageSeconds: 0 })
    this.writer.reset()
    writeEntry(this.writer, this.table.entryOf(this.own, this.now))
    for (const peer of this.bus.peers.keys()) this.bus.send(peer, FrameKind.Leaving, this.writer.written())
  }

  /** Takes a member that will not come back out of the cluster, on all nodes. Undefined: done; else why not. */
  remove(name: string): string | undefined {
    const member = this.table.get(name)
    if (member === undefined || member.status === "left") return "no such member"
    if (member.status !== "dead") return `it is ${member.status}: only a dead member is removed; let a living one leave`
    const { address, epoch, incarnation } = member
    this.learn({ name, epoch, incarnation: incarnation + 1, status: "left", address, ageSeconds: 0 })
    return undefined
  }

  linkUp(peer: Peer): void {
    const { epoch, name } = peer
    this.learn({ name, epoch, incarnation: 0, status: "alive", address: "", ageSeconds: 0 })
    this.probes.cancel(name)
    this.sendState(name, this.self < name ? hasDigest : 0, [
      this.table.entryOf(this.own, this.now),
      ...this.about(name)
    ], false)
  }

  linkDown(peer: Peer): void {
    const member = this.table.get(peer.name)
    if (member !== undefined && isPresent(member)) this.probe(member)
  }

  receive(peer: Peer, kind: FrameKind, body: Buffer): void {
    const reader = new BodyReader(body)
    switch (kind) {
      case FrameKind.Probe: {
        const number = reader.uint32()
        this.readNews(reader, peer.name)
        this.sendNumbered(peer.name, FrameKind.ProbeAck, number)
        return
      }
      case FrameKind.ProbeAck: {
        const asker = this.probes.answered(reader.uint32())
        this.readNews(reader, peer.name)
        if (asker !== undefined) this.sendNumbered(asker.asker, FrameKind.ProbeAck, asker.number)
        return
      }
      case FrameKind.ProbeRequest: {
        const [number, target] = [reader.uint32(), reader.text()]
        this.readNews(reader, peer.name)
        const relayed = this.probes.relay(peer.name, number, this.now, this.options.probeTimeoutMillis)
        if (relayed !== undefined) this.sendNumbered(target, FrameKind.Probe, relayed)
        return
      }
      case FrameKind.Leaving:
        return this.learn(readEntry(reader))
      case FrameKind.MemberState: {
        const flags = reader.uint8()
        const digest = (flags & hasDigest) === 0 ? undefined : reader.uint32()
        this.readNews(reader, peer.name)
        if (digest !== undefined && digest !== this.table.digest) this.offerTable(peer.name)
        if ((flags & wantsTable) !== 0) this.sendTable(peer.name, false)
        return
      }
      default:
        return
    }
  }

  tick(now: number): void {
    // A node that has slept itself must not take the others for dead.
    const late = Math.max(0, now - this.now - 2 * tickMillis)
    this.now = now
    this.probes.tick(now, late, (number, probe) => this.askOthers(number, probe.member), ({ epoch, member }) => {
      const known = this.table.get(member)
      if (known?.status === "alive" && known.epoch === epoch) {
        this.learn({ ...this.table.entryOf(known, now), status: "suspect" })
      }
    })
    if (late > 0) { for (const member of this.suspects) member.since += late }
    this.bury(now)
    if (!this.majorityIsKnown) this.judgeMajority()
    if (now >= this.probeAt) {
      this.probeAt = now + this.options.probeIntervalMillis
      const next = this.nextInRing()
      if (next !== undefined) this.probe(next)
    }
    if (now >= this.gossipAt && (this.gossip.size > 0 || this.suspects.size > 0)) {
      this.gossipAt = now + gossipMillis
      this.remindSuspects()
      if (this.gossip.size > 0) {
        for (const name of this.chosenPeers(gossipTo)) this.sendState(name, 0, this.about(name))
      }
    }
    if (now >= this.exchangeAt) {
      this.exchangeAt = now + exchangeMillis
      for (const name of this.chosenPeers(1)) this.sendState(name, hasDigest, [])
    }
    if (now >= this.housekeepingAt) this.forgetOld(now)
  }

  // Questions.

  private probe(member: Member): void {
    const { epoch, name } = member
    const number = this.probes.begin(name, epoch, this.now, this.options.probeTimeoutMillis)
    if (number === undefined) return
    if (this.bus.peers.has(name)) this.sendNumbered(name, FrameKind.Probe, number)
    else this.askOthers(number, name)
  }

  private askOthers(number: number, target: string): void {
    this.sendNumbered(target, FrameKind.Probe, number)
    for (const name of this.chosenPeers(helpers, target)) {
      this.writer.reset().uint32(number).text(target)
      this.writeNews(name)
      this.bus.send(name, FrameKind.ProbeRequest, this.writer.written())
    }
  }

  /** All members in an order of chance, then again in another one: each is asked within two rounds. */
  private nextInRing(): Member | undefined {
    for (let tries = this.ring.length + this.table.presentCount; tries >= 0; tries--) {
      if (this.ring.length === 0) {
        this.ring = [...this.present]
        for (let index = this.ring.length - 1; index > 0; index--) {
          const other = Math.floor(this.options.random() * (index + 1))
          const [one, two] = [this.ring[index], this.ring[other]]
          if (one !== undefined && two !== undefined) [this.ring[index], this.ring[other]] = [two, one]
        }
      }
      const member = this.table.get(this.ring.pop() ?? "")
      if (member !== undefined && member !== this.own && isPresent(member)) return member
    }
    return undefined
  }

  /** Those with a link, by chance. */
  private chosenPeers(count: number, except?: string): ReadonlyArray<string> {
    const names = [...this.bus.peers.keys()]
    const chosen: Array<string> = []
    for (let left = names.length; left > 0 && chosen.length < count; left--) {
      const index = Math.floor(this.options.random() * left)
      const name = names[index]
      if (name !== undefined && name !== except) chosen.push(name)
      const last = names[left - 1]
      if (last !== undefined) names[index] = last
    }
    return chosen
  }

  // News.

  private learn(news: MemberEntry): void {
    if (news.name === this.self && !(this.isLeaving && !isPresent(news))) return this.learnOfItself(news)
    const before = this.table.get(news.name)?.address ?? ""
    const change = this.table.apply(news, this.now)
    if (change === "full") return this.options.onFull?.(news.name)
    const member = this.table.get(news.name)
    if (member === undefined || (change === undefined && member.address === before)) return
    if (member !== this.own) {
      const isCalled = member.status !== "left" && member.address !== ""
      this.options.onAddress?.(member.name, isCalled ? member.address : undefined)
    }
    // A new one says in its first frame where it is: it is not told of before.
    if (member.address !== "") this.gossip.add(this.table.entryOf(member, this.now))
    if (change !== undefined) this.changed(change)
  }

  private changed({ before, isNewEpoch, member }: Change): void {
    this.majorityIsKnown = false
    const { name, status } = member
    if (status === "suspect") {
      this.suspects.add(member)
      // It may object at once.
      if (this.bus.peers.has(name)) this.sendState(name, 0, this.about(name))
    } else this.suspects.delete(member)
    if (!isPresent(member)) this.probes.cancel(name)
    if (member !== this.own && (status !== before || isNewEpoch)) this.tellListeners(name, status)
  }

  /** Who says that this node is suspect, dead or gone is told better. */
  private learnOfItself(news: MemberEntry): void {
    if (news.epoch < this.own.epoch || this.isLeaving) return
    if (news.epoch > this.own.epoch) {
      // Another node, or its own life before, under a clock that was ahead: the others must not take this one for dead for that.
      if (news.status === "alive") return this.options.onDouble?.(news.epoch)
      const { address, name } = this.own
      this.table.apply(
        { name, epoch: news.epoch + 1, incarnation: 0, status: "alive", address, ageSeconds: 0 },
        this.now
      )
      this.gossip.add(this.table.entryOf(this.own, this.now))
      this.gossipAt = this.now
      return
    }
    if (news.status === "alive" ? news.incarnation <= this.own.incarnation : news.incarnation < this.own.incarnation) {
      return
    }
    const { address, epoch, name } = this.own
    this.table.apply(
      { name, epoch, incarnation: news.incarnation + 1, status: "alive", address, ageSeconds: 0 },
      this.now
    )
    this.gossip.add(this.table.entryOf(this.own, this.now))
    this.gossipAt = this.now
  }

  /** Some of all nodes tell a suspect again what is held against it: it may not have heard, or not been heard. */
  private remindSuspects(): void {
    const share = remindersEach / this.table.presentCount
    for (const { name, since } of this.suspects) {
      // Who is about to bury it makes sure.
      const chance = this.now - since > this.patience / 2 ? Math.max(share, lateReminder) : share
      if (this.bus.peers.has(name) && this.options.random() < chance) this.sendState(name, 0, this.about(name))
    }
  }

  /** Who has a link to this node may object first: of two parts of a split that meet again each has buried members that are in the other. */
  private doubted(news: MemberEntry): MemberEntry {
    return news.status === "dead" && this.bus.peers.get(news.name)?.epoch === news.epoch
      ? { ...news, status: "suspect" }
      : news
  }

  private get patience(): number {
    return this.options.suspicionTimeoutMillis * Math.max(1, Math.log10(this.table.presentCount))
  }

  private bury(now: number): void {
    const { patience } = this
    for (const member of this.suspects) {
      if (now - member.since < patience) continue
      this.learn({ ...this.table.entryOf(member, now), status: "dead" })
      if (this.bus.peers.has(member.name)) this.options.onBuried?.(member.name)
    }
  }

  private forgetOld(now: number): void {
    this.housekeepingAt = now + housekeepingMillis
    for (const member of this.table.members.values()) {
      if (isPresent(member) || member === this.own || now - member.since < this.options.forgetAfterMillis) continue
      this.table.remove(member.name)
      this.majorityIsKnown = false
      this.gossip.forget(member.name)
      this.options.onAddress?.(member.name, undefined)
      if (member.status === "dead") this.tellListeners(member.name, "forgotten")
    }
  }

  private tellListeners(name: string, status: MemberStatus | "forgotten"): void {
    for (const listener of this.listeners) listener.memberChanged(name, status)
  }

  // Frames.

  /** What this node holds against another one, for it to object. */
  private about(name: string): ReadonlyArray<MemberEntry> {
    const member = this.table.get(name)
    return member === undefined || member.status === "alive" ? [] : [this.table.entryOf(member, this.now)]
  }

  private sendNumbered(to: string, kind: FrameKind, number: number): boolean {
    this.writer.reset().uint32(number)
    this.writeNews(to)
    return this.bus.send(to, kind, this.writer.written())
  }

  private writeNews(to: string): void {
    const entries = [...this.about(to), ...this.gossip.take(entriesPerGossip, this.table.presentCount)]
    this.writer.uint16(entries.length)
    for (const entry of entries) writeEntry(this.writer, entry)
  }

  private readNews(reader: BodyReader, from: string): void {
    let isSlandered = false
    for (let left = reader.uint16(); left > 0; left--) {
      const entry = readEntry(reader)
      this.learn(this.doubted(entry))
      isSlandered ||= entry.name === this.self && entry.status !== "alive"
    }
    // The answer may have been told to all and not have come to this one.
    if (isSlandered) this.sendState(from, 0, [this.table.entryOf(this.own, this.now)])
  }

  private sendState(to: string, flags: number, entries: ReadonlyArray<MemberEntry>, news = true): void {
    this.writer.reset().uint8(flags)
    if ((flags & hasDigest) !== 0) this.writer.uint32(this.table.digest)
    const all = news ? [...entries, ...this.gossip.take(entriesPerGossip, this.table.presentCount)] : entries
    this.writer.uint16(all.length)
    for (const entry of all) writeEntry(this.writer, entry)
    this.bus.send(to, FrameKind.MemberState, this.writer.written())
  }

  /**
   * To one whose digest is another: both then know what either did. A large table goes to few: the news is on its way to the others
   * as well, and when many join at once all digests differ all the time.
   */
  private offerTable(to: string): void {
    const { size } = this.table.members
    if (size > smallTable) {
      if (this.now < this.tableAt) {
        this.exchangeAt = Math.min(this.exchangeAt, this.now + housekeepingMillis)
        return
      }
      this.tableAt = this.now + size * millisPerEntry
    }
    this.sendTable(to, true)
  }

  private sendTable(to: string, wanted: boolean): void {
    const all = [...this.table.members.values()]
    for (let start = 0; start < all.length; start += entriesPerFrame) {
      const part = all.slice(start, start + entriesPerFrame)
      const isLast = start + entriesPerFrame >= all.length
      this.writer.reset().uint8(wanted && isLast ? wantsTable : 0).uint16(part.length)
      for (const member of part) writeEntry(this.writer, this.table.entryOf(member, this.now))
      this.bus.send(to, FrameKind.MemberState, this.writer.written())
    }
  }
}

const isPresent = ({ status }: Pick<Member, "status">): boolean => status === "alive" || status === "suspect"
