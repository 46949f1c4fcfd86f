// Messages between nodes: for each peer a stream out (PeerStream) and how far its own has come here (Reception). Plain code over Bus, called in
// turns of the cluster's actor; `forward` alone is called in the publisher's turn and only queues. Invariants: a message with QoS 1 or 2 is kept
// until the peer has it in its sessions, and on its disk where they are durable; the peer takes it once; the order of one publisher is kept.
import type { Buffer } from "node:buffer"
import type { Message } from "../../mqtt/Message.ts"
import type { TopicTable } from "../../mqtt/TopicTable.ts"
import type { Forward } from "../../router/Forward.ts"
import type { Journal, Waiter } from "../../store/Journal.ts"
import { BodyWriter } from "../BodyWriter.ts"
import { type Bus, type BusPart, FrameKind, type MembersListener, type MemberStatus, type Peer } from "../Bus.ts"
import { isAfter, nowhere, type Position, type Target } from "./Entry.ts"
import { readMessages, readPosition, writePosition } from "./forwardFrames.ts"
import { type NodeNames, outboxEntry, outboxPlace, positionKind, positionOf } from "./outboxRecords.ts"
import { PeerStream, type StreamCounts, type StreamLimits } from "./PeerStream.ts"
import { Reception } from "./Reception.ts"
import type { Place, RouteLevel } from "../../router/RemoteRoutes.ts"

export interface ForwardCounts extends StreamCounts {
  forward_received_total: number
  forward_duplicates_total: number
  /** A message of a shared group whose last member has gone. */
  forward_nobody_total: number
}

export interface ForwarderOptions {
  readonly bus: Bus
  readonly journal: Journal
  readonly topics: TopicTable
  readonly now: () => number
  readonly limits: StreamLimits
  readonly counts: ForwardCounts
  /** A message of a peer, for the sessions of this node; returns what the peer has to wait for where it was handed on. */
  readonly deliver: (message: Message, target: Target) => Forward | null
  /** A message of shared groups that a peer was to serve, which has gone: as `deliver`, to others. */
  readonly giveBack: (message: Message, groups: ReadonlyArray<string>, from: string) => Forward | null
  /** `flush` is wanted, in a turn of the cluster. */
  readonly wake: () => void
  /** A message could not be delivered to this node's sessions: it is given up. */
  readonly onDefect: (message: Message, defect: unknown) => void
  readonly onFull?: (peer: string, full: boolean) => void
  readonly onDropped?: (peer: string, messages: number) => void
  /** Numbers of nodes, as `keep` is given them. */
  readonly names?: NodeNames
  /** Asked until it is so: what has a place may go to a peer whose link has been up for so many ms. Not given: at once. */
  readonly mayOpen?: (peer: string, upMillis: number) => boolean
  /** What peers are to be sent is still being worked out. */
  readonly isBusy?: () => boolean
  /** All that waited may go. */
  readonly onOpen?: () => void
}

const noNames: NodeNames = { nameOf: () => "", numberOf: () => -1 }

/** Streams of names never seen again are bounded by what membership remembers; positions of peers that are gone by this. */
const mostPositions = 10_000

export class Forwarder implements BusPart, MembersListener, Waiter {
  readonly kinds = [FrameKind.Messages, FrameKind.MessagesAck, FrameKind.ForwardPosition]
  private readonly options: ForwarderOptions
  private readonly bus: Bus
  private readonly journal: Journal
  private readonly writer = new BodyWriter(80 * 1024)
  private readonly streams = new Map<string, PeerStream>()
  private readonly receptions = new Map<string, Reception>()
  /** Peers that are still to be told how far their stream has come: the link had no room. */
  private readonly positionsDue = new Set<string>()
  private readonly acksDue = new Set<string>()
  /** As membership says. */
  private readonly dead = new Set<string>()
  /** Peers to which nothing that has a place goes yet, and since when they have a link. */
  private readonly closed = new Map<string, number>()
  /** What waits for all of them. */
  private held: Array<{ readonly peer: string; readonly run: () => void }> = []
  /** A link was closed since all were open. */
  private opening = false
  private readonly dropsDue = new Set<string>()
  /** Of the message that was kept last: its place in all streams. */
  private sequence = 0
  private flushDue = false
  /** Whose messages are being taken in. */
  origin: string | null = null
  /** The one that is being taken in may not be lost. */
  hasPlace = false

  constructor(options: ForwarderOptions) {
    this.options = options
    this.bus = options.bus
    this.journal = options.journal
  }

  // --- messages out ------------------------------------------------------------------------------------------------

  /** The place of a message that is to be kept: one for all peers that it goes to, but for those that get it a second time by way of groups. */
  nextSequence(): number {
    return ++this.sequence
  }

  /** Sent with the next flush, or dropped and counted. */
  loose(stream: PeerStream, message: Message, target: Target): void {
    this.wake()
    stream.pushLoose(message, target)
  }

  /**
   * QoS 1 and 2: kept until the peer has it. Returns what to wait for, `forward` where one is given and the message does not follow others that
   * another one is for; null where it is not kept. `storeNow`: it is on disk with what its publisher's turn records, and goes no earlier.
   * `given`: all nodes that it goes to as one that matches their routes, by number.
   */
  keep(
    stream: PeerStream,
    message: Message,
    target: Target,
    level: RouteLevel,
    forward: Forward | null,
    storeNow: boolean,
    sequence = ++this.sequence,
    given?: ReadonlyArray<number>
  ): Forward | null {
    this.wake()
    return stream.push(message, target, level, this.options.now(), forward, storeNow, sequence, given)
  }

  /** The same object for ever. */
  stream(peer: string): PeerStream {
    let stream = this.streams.get(peer)
    if (stream === undefined) {
      const { bus, counts, giveBack, limits, onFull } = this.options
      const owner = { giveBack, onFull: onFull ?? (() => {}), names: this.options.names ?? noNames }
      stream = new PeerStream(peer, bus.self.epoch, this.journal, limits, counts, owner)
      this.streams.set(peer, stream)
    }
    return stream
  }

  /** In a turn of the cluster: once all that this peer is owed now has been sent on its link, and this node knows the routes of all others. */
  whenSent(peer: string, run: () => void): void {
    this.flush()
    if (this.isClosed) this.held.push({ peer, run })
    else this.stream(peer).whenSent(run)
  }

  /** A message of this peer, and all before it, have been taken here. */
  reached(peer: string): Position {
    return this.receptions.get(peer)?.reached ?? nowhere
  }

  /** How far the messages of all peers have come here, and this node's own. */
  places(): ReadonlyArray<Place> {
    const { epoch, name } = this.bus.self
    const places = [{ node: name, epoch, sequence: this.sequence }]
    for (const { peer, reached } of this.receptions.values()) places.push({ node: peer, ...reached })
    return places
  }

  /** Those that have not been reached here. */
  behind(places: ReadonlyArray<Place>): ReadonlyArray<Place> {
    return places.filter((place) => place.node !== this.bus.self.name && isAfter(place, this.reached(place.node)))
  }

  /** Whether the message that is being taken in lies before one of these. */
  wasSeen(places: ReadonlyArray<Place>): boolean {
    const { hasPlace, origin } = this
    if (origin === null || !hasPlace) return false
    const seen = places.find(({ node }) => node === origin)
    return seen !== undefined && !isAfter(this.reached(origin), seen)
  }

  /** What is owed to a peer, as far as there is anything. */
  known(peer: string): PeerStream | undefined {
    return this.streams.get(peer)
  }

  /** Something waits until more is known of all nodes. */
  get isClosed(): boolean {
    return this.closed.size > 0 || this.options.isBusy?.() === true
  }

  private open(now: number): void {
    const { mayOpen } = this.options
    for (const [peer, since] of this.closed) if (mayOpen?.(peer, now - since) !== false) this.closed.delete(peer)
    if (this.isClosed) return
    this.opening = false
    const { held } = this
    this.held = []
    this.options.onOpen?.()
    for (const { peer, run } of held) this.stream(peer).whenSent(run)
    for (const name of this.dropsDue) this.drop(name)
    this.dropsDue.clear()
  }

  private drop(name: string): void {
    const dropped = this.streams.get(name)?.drop() ?? 0
    if (dropped > 0) this.options.onDropped?.(name, dropped)
  }

  /** What this node keeps for a peer. */
  owedTo(peer: string): { readonly messages: number; readonly bytes: number } {
    const stream = this.streams.get(peer)
    return { messages: stream?.size ?? 0, bytes: stream?.byteSize ?? 0 }
  }

  /** In a turn of the cluster. */
  flush(): void {
    this.flushDue = false
    const now = this.options.now()
    let waits = false
    if (this.opening || this.held.length > 0 || this.dropsDue.size > 0) this.open(now)
    for (const stream of this.streams.values()) {
      if (stream.pump(this.bus, this.writer, now, this.closed.has(stream.peer))) waits = true
    }
    for (const reception of this.receptions.values()) {
      if (!reception.isWaiting) continue
      if (reception.advance() !== undefined) this.acksDue.add(reception.peer)
      if (reception.isWaiting) waits = true
    }
    for (const peer of this.acksDue) this.acknowledge(peer)
    if (waits) this.journal.wait(this)
  }

  /** A group was committed, or another node has what was handed on to it. */
  wake(): void {
    if (this.flushDue) return
    this.flushDue = true
    this.options.wake()
  }

  // --- the disk ----------------------------------------------------------------------------------------------------

  /** Rows of kind "cluster_outbox", in the order of their keys; returns how many are of no use. */
  restoreOutbox(rows: Iterable<{ readonly key: string; readonly value: Uint8Array }>): number {
    let damaged = 0
    for (const { key, value } of rows) {
      const place = outboxPlace(key)
      const entry = place === undefined
        ? undefined
        : outboxEntry(place.position, value, this.options.topics, this.options.now(), this.options.names ?? noNames)
      if (place === undefined || entry === undefined) damaged++
      else this.stream(place.peer).restore(entry)
    }
    return damaged
  }

  /** False: of no use. */
  restorePosition(peer: string, value: Uint8Array): boolean {
    const position = positionOf(value)
    if (position !== undefined) this.receptions.set(peer, new Reception(peer, this.journal, position))
    return position !== undefined
  }

  // --- the bus -----------------------------------------------------------------------------------------------------

  linkUp({ name }: Peer): void {
    this.positionsDue.add(name)
    const stream = this.streams.get(name)
    if (stream !== undefined) stream.isDown = false
    if (this.options.mayOpen !== undefined) {
      this.closed.set(name, this.options.now())
      this.opening = true
    }
    this.dropsDue.delete(name)
    this.tell(name)
  }

  linkDown({ name }: Peer): void {
    this.positionsDue.delete(name)
    this.acksDue.delete(name)
    this.closed.delete(name)
    this.held = this.held.filter(({ peer }) => peer !== name)
    this.streams.get(name)?.linkDown()
    if (this.dead.has(name)) this.stream(name).down(this.options.now())
  }

  receive({ name }: Peer, kind: FrameKind, body: Buffer): void {
    if (kind === FrameKind.Messages) return this.onMessages(name, body)
    const position = readPosition(body)
    if (kind === FrameKind.MessagesAck) this.stream(name).onAck(position)
    else this.stream(name).onPosition(position)
    this.wake()
  }

  writable({ name }: Peer): void {
    this.tell(name)
    this.wake()
  }

  tick(now: number): void {
    for (const stream of this.streams.values()) stream.tick(now)
    for (const name of this.positionsDue) this.tell(name)
    this.flush()
  }

  memberChanged(name: string, status: MemberStatus | "forgotten"): void {
    const stream = this.streams.get(name)
    if (status !== "suspect") this.dead.delete(name)
    if (status === "alive") {
      if (stream !== undefined) stream.isDown = false
    } else if (status === "dead") {
      // While there is a link its clients may get what is sent: news of its death that came late must cost them nothing.
      this.dead.add(name)
      if (!this.bus.peers.has(name)) this.stream(name).down(this.options.now())
    } else if (status === "left" || status === "forgotten") {
      // Of a node that has left sessions may be elsewhere, which have not been heard of yet.
      if (this.isClosed) this.dropsDue.add(name)
      else this.drop(name)
      if (stream !== undefined) stream.isDown = false
      // One that was forgotten may come back with what it has not sent: what it has sent must not be taken twice.
      if (status === "left") {
        this.receptions.delete(name)
        this.journal.deleteRecordLazily(positionKind, name)
      }
    }
    this.wake()
  }

  private onMessages(name: string, body: Buffer): void {
    const { counts, deliver, now, topics } = this.options
    const reception = this.reception(name)
    const { changes } = this.journal
    let numbered = false
    this.origin = name
    try {
      readMessages(body, topics, now(), {
        run: (epoch, sequence) => {
          this.hasPlace = sequence >= 0
          if (!this.hasPlace) return true
          numbered = true
          if (reception.take(epoch, sequence)) return true
          counts.forward_duplicates_total++
          return false
        },
        message: (message, target) => {
          counts.forward_received_total++
          if (this.hasPlace) reception.messageTaken()
          let forward: Forward | null = null
          try {
            forward = deliver(message, target)
          } catch (defect) {
            // One that no table can answer costs neither the others nor the link.
            this.options.onDefect(message, defect)
          }
          if (forward === null) return
          forward.wait(this)
          reception.handedOn(forward)
        }
      })
    } finally {
      this.origin = null
      if (numbered) {
        reception.frameTaken(changes)
        this.wake()
      }
    }
  }

  private reception(name: string): Reception {
    let reception = this.receptions.get(name)
    if (reception === undefined) {
      if (this.receptions.size >= mostPositions) this.forgetOne()
      reception = new Reception(name, this.journal)
      this.receptions.set(name, reception)
    }
    return reception
  }

  private forgetOne(): void {
    for (const name of this.receptions.keys()) {
      if (this.bus.peers.has(name)) continue
      this.receptions.delete(name)
      this.journal.deleteRecordLazily(positionKind, name)
      return
    }
  }

  /** Where its stream goes on, and what it need not keep. */
  private tell(name: string): void {
    if (!this.positionsDue.has(name)) return
    const { position } = this.reception(name)
    if (!this.send(name, FrameKind.ForwardPosition, position)) return
    this.positionsDue.delete(name)
    this.acksDue.add(name)
    this.acknowledge(name)
  }

  private acknowledge(name: string): void {
    const { done } = this.reception(name)
    if (this.positionsDue.has(name)) return
    if (this.send(name, FrameKind.MessagesAck, done)) this.acksDue.delete(name)
  }

  private send(name: string, kind: FrameKind, position: Position): boolean {
    return this.bus.send(name, kind, writePosition(this.writer, position))
  }
}
