// The sets of routes of all nodes: tells the peers what changes in this node's set, and keeps theirs in the RemoteTable. Pure over Bus; turns
// of the cluster's actor call it, and the router reads `table`. A set has one writer, its node: changes travel numbered, a digest now and then
// and at each new link shows what is missing, and the gap or the whole set is asked for. Invariant: when a node's set rests and its link is
// up, the peer's copy becomes equal to it, digest included, whatever was lost before.
import { Buffer } from "node:buffer"
import { RouteLevel } from "../../router/RemoteRoutes.ts"
import { type Bus, type BusPart, FrameKind, type MembersListener, type MemberStatus, type Peer } from "../Bus.ts"
import { OwnRoutes } from "./OwnRoutes.ts"
import { RemoteTable } from "./RemoteTable.ts"
import {
  FrameMalformed,
  readDigest,
  readRequest,
  readRows,
  readRowsHead,
  type RowsHead,
  RowsWriter,
  type SetVersion,
  writeDigest,
  writeRequest
} from "./routeFrames.ts"
import { Digest, isGroupKey } from "./routeKey.ts"

/** What the sessions of this node have: the router. */
export interface OwnFilters {
  /** 0: nobody of this node has it (any more). */
  stateOf(key: string): number
  keys(): Iterable<string>
}

export interface RoutesOptions {
  readonly bus: Bus
  readonly own: OwnFilters
  readonly table?: RemoteTable
  /** How often a digest goes to each peer that nothing else tells of a gap. */
  readonly digestMillis?: number
  /** Whether sessions of this node may be owed messages while it is down: told when it changes. */
  readonly onOwed?: (name: string, owed: boolean) => void
  /** This node has a peer's set as it was when its link came up, or later. */
  readonly onCurrent?: (name: string) => void
  /** Not all sets are known as they are: what a peer has no longer another one may have, and counts as its own until `release`. */
  readonly keepsRemoved?: () => boolean
}

/** What this node has of a peer's set, and what it is sending to the peer. */
interface PeerRoutes {
  readonly number: number
  readonly name: string
  /** 0: none was ever had. */
  epoch: number
  /** -1: nothing that can be added to. */
  version: number
  /** It was the peer's since the link came up. */
  isCurrent: boolean
  readonly digest: Digest
  rows: number
  /** Rows of level Owed. */
  owed: number
  /** As `onOwed` was told. */
  isOwed: boolean
  /** A whole set that is on its way here. */
  whole:
    | {
      readonly epoch: number
      readonly version: number
      readonly digest: Digest
      place: number
      rows: number
      owed: number
    }
    | undefined
  /** Asked for already, so a burst of changes behind a gap asks once; the second digest from then on asks again. */
  asked: 0 | 1 | 2
  /** This node's whole set, on its way there. */
  transfer: Transfer | undefined
}

interface Transfer {
  readonly rows: IterableIterator<[string, number]>
  readonly version: number
  /** Changed since it began: sent at its end. */
  readonly changed: Set<string>
  place: number
  /** A frame that the link had no room for. */
  waiting: { readonly body: Buffer; readonly head: RowsHead; readonly rows: number } | undefined
}

/** Of one set on its way, in one turn. */
const framesAtATime = 8

export class Routes implements BusPart, MembersListener {
  readonly kinds = [FrameKind.RoutesDelta, FrameKind.RoutesDigest, FrameKind.RoutesRequest, FrameKind.RoutesWhole]
  readonly table: RemoteTable
  private readonly bus: Bus
  private readonly filters: OwnFilters
  private readonly own: OwnRoutes
  private readonly digestMillis: number
  private readonly onOwed: (name: string, owed: boolean) => void
  private readonly onCurrent: (name: string) => void
  private readonly keepsRemoved: () => boolean
  /** Numbers of the peers of which something was kept that they have no longer. */
  private readonly kept = new Set<number>()
  private readonly peers = new Map<string, PeerRoutes>()
  private readonly numbers = new Map<string, number>()
  private readonly names: Array<string> = []
  private readonly changed = new Set<string>()
  private readonly writer = new RowsWriter()
  private nextDigests = 0
  /** Whole sets that were asked for and came, for tests and status. */
  wholesReceived = 0

  constructor({ bus, digestMillis, keepsRemoved, onCurrent, onOwed, own, table }: RoutesOptions) {
    this.bus = bus
    this.filters = own
    this.own = new OwnRoutes(bus.self.epoch)
    this.table = table ?? new RemoteTable()
    this.digestMillis = digestMillis ?? 10_000
    this.onOwed = onOwed ?? (() => {})
    this.onCurrent = onCurrent ?? (() => {})
    this.keepsRemoved = keepsRemoved ?? (() => false)
  }

  // --- this node's set ---------------------------------------------------------------------------------------------

  /** Something about this row may have changed: looked at in `flush`. */
  touch(key: string): void {
    this.changed.add(key)
  }

  /** Anything may have changed. */
  touchAll(): void {
    for (const key of this.own.keys()) this.changed.add(key)
    for (const key of this.filters.keys()) this.changed.add(key)
  }

  /** As the peers know it. */
  ownState(key: string): number {
    return this.own.get(key)
  }

  get hasChanges(): boolean {
    return this.changed.size > 0
  }

  /** Sends what has changed. At the end of a turn. */
  flush(): void {
    if (this.changed.size === 0) return
    const { own, writer } = this
    let from = own.version
    const send = () => {
      if (writer.rows === 0) return
      const body = writer.take({ epoch: own.epoch, from, to: own.version, last: true })
      for (const name of this.bus.peers.keys()) {
        // One that is sent the whole set gets these at its end. One whose link takes no more sees the gap later.
        if (this.peers.get(name)?.transfer === undefined) this.bus.send(name, FrameKind.RoutesDelta, body)
      }
      from = own.version
    }
    for (const key of this.changed) {
      const state = this.filters.stateOf(key)
      if (!own.set(key, state)) continue
      writer.add(key, state)
      for (const peer of this.peers.values()) peer.transfer?.changed.add(key)
      if (writer.isFull) send()
    }
    this.changed.clear()
    send()
  }

  // --- what others see ---------------------------------------------------------------------------------------------

  nameOf(number: number): string {
    return this.names[number] ?? ""
  }

  numberOf(name: string): number {
    let number = this.numbers.get(name)
    if (number === undefined) {
      number = this.names.length
      this.names.push(name)
      this.numbers.set(name, number)
    }
    return number
  }

  /** Of a node's set as it is known here; undefined: nothing is. Equal on all nodes once the cluster has healed. */
  digestOf(name: string): { readonly a: number; readonly b: number; readonly rows: number } | undefined {
    if (name === this.bus.self.name) return { a: this.own.digest.a, b: this.own.digest.b, rows: this.own.size }
    const peer = this.peers.get(name)
    return peer === undefined || peer.version < 0 ? undefined : { a: peer.digest.a, b: peer.digest.b, rows: peer.rows }
  }

  // --- the bus -----------------------------------------------------------------------------------------------------

  linkUp(peer: Peer): void {
    const known = this.peer(peer.name)
    known.asked = 0
    known.isCurrent = false
    known.whole = undefined
    known.transfer = undefined
    this.flush()
    this.sendDigest(peer.name)
  }

  linkDown({ name }: Peer): void {
    const known = this.peers.get(name)
    if (known === undefined) return
    known.asked = 0
    known.isCurrent = false
    // What came of it stays, and is told from the rest by the next one.
    if (known.whole !== undefined) known.version = -1
    known.whole = undefined
    known.transfer = undefined
  }

  receive({ name }: Peer, kind: FrameKind, body: Buffer): void {
    const peer = this.peer(name)
    if (kind === FrameKind.RoutesDelta) return this.onDelta(peer, body)
    if (kind === FrameKind.RoutesDigest) return this.onDigest(peer, body)
    if (kind === FrameKind.RoutesRequest) return this.onRequest(peer, readRequest(body))
    this.onWhole(peer, body)
  }

  writable({ name }: Peer): void {
    const peer = this.peers.get(name)
    if (peer?.transfer !== undefined) this.transfer(peer, peer.transfer)
  }

  tick(now: number): void {
    this.flush()
    for (const peer of this.peers.values()) if (peer.transfer !== undefined) this.transfer(peer, peer.transfer)
    if (now < this.nextDigests) return
    this.nextDigests = now + this.digestMillis
    for (const name of this.bus.peers.keys()) if (this.peers.get(name)?.transfer === undefined) this.sendDigest(name)
  }

  /** The routes of a node that is down stay: it may be owed messages. They go when nobody waits for it any more. */
  memberChanged(name: string, status: MemberStatus | "forgotten"): void {
    if (status !== "left" && status !== "forgotten") return
    const peer = this.peers.get(name)
    if (peer === undefined) return
    if (this.keepsRemoved()) {
      this.table.unmark(peer.number)
      this.keepUnmarked(peer)
    }
    this.table.sweep(peer.number, true)
    this.peers.delete(name)
    if (peer.isOwed) this.onOwed(name, false)
  }

  // --- replication -------------------------------------------------------------------------------------------------

  private onDelta(peer: PeerRoutes, body: Buffer): void {
    const { epoch, from, last, to } = readRowsHead(body)
    // All that changes during a whole set comes after it.
    if (peer.whole !== undefined) return
    if (epoch !== peer.epoch || from !== peer.version) {
      if (epoch === peer.epoch && to <= peer.version) return
      return this.ask(peer, epoch)
    }
    readRows(body, (key, state) => this.take(peer, key, state))
    this.tellOwed(peer)
    if (!last) return
    peer.version = to
    peer.asked = 0
    this.isNow(peer)
  }

  private isNow(peer: PeerRoutes): void {
    if (peer.isCurrent) return
    peer.isCurrent = true
    this.onCurrent(peer.name)
  }

  private take(peer: PeerRoutes, key: string, state: number): void {
    const before = this.table.set(peer.number, key, checked(key, state))
    peer.digest.subtract(key, before)
    peer.digest.add(key, state)
    if (before === 0 && state !== 0) peer.rows++
    if (before !== 0 && state === 0) peer.rows--
    if (before === RouteLevel.Owed && state === 0 && !isGroupKey(key) && this.keepsRemoved()) {
      this.table.keep(peer.number, key)
      this.kept.add(peer.number)
    }
    peer.owed += owedBy(key, state) - owedBy(key, before)
  }

  private keepUnmarked({ number }: PeerRoutes): void {
    this.table.keepUnmarked(number)
    this.kept.add(number)
  }

  /** All sets are known as they are. */
  release(): void {
    for (const number of this.kept) this.table.release(number)
    this.kept.clear()
  }

  private tellOwed(peer: PeerRoutes): void {
    if (peer.isOwed === peer.owed > 0) return
    peer.isOwed = peer.owed > 0
    this.onOwed(peer.name, peer.isOwed)
  }

  /**
   * A member from before the start, whose sessions may be owed messages: until its set is here, all of them are. What does not concern it
   * finds nobody there.
   */
  expect(name: string): void {
    const peer = this.peer(name)
    peer.isOwed = true
    if (peer.version < 0 && peer.whole === undefined) this.table.set(peer.number, everything, RouteLevel.Owed)
  }

  /** What is known of this peer's set is not older than its link. */
  isCurrent(name: string): boolean {
    return this.peers.get(name)?.isCurrent === true
  }

  /** Of the peers that have had a link since the start, or are expected, and have not left. */
  peerNames(): IterableIterator<string> {
    return this.peers.keys()
  }

  /** It has told its set since the start. */
  knows(name: string): boolean {
    return (this.peers.get(name)?.version ?? -1) >= 0
  }

  /** What it had told by then is known here. */
  hasReached(name: string, { epoch, version }: SetVersion): boolean {
    const peer = this.peers.get(name)
    if (peer === undefined || peer.version < 0) return false
    return peer.epoch > epoch || (peer.epoch === epoch && peer.version >= version)
  }

  get ownVersion(): SetVersion {
    return { epoch: this.own.epoch, version: this.own.version }
  }

  private onDigest(peer: PeerRoutes, body: Buffer): void {
    const { a, b, epoch, rows, version } = readDigest(body)
    if (peer.whole !== undefined) return
    if (peer.asked > 0) peer.asked--
    if (peer.epoch === epoch && peer.version === version) {
      if (peer.digest.equals({ a, b }) && peer.rows === rows) return this.isNow(peer)
      peer.version = -1
    } else if (peer.version > version) peer.version = -1
    this.ask(peer, epoch)
  }

  private ask(peer: PeerRoutes, epoch: number): void {
    if (peer.asked > 0) return
    const version = peer.epoch === epoch ? peer.version : -1
    if (this.bus.send(peer.name, FrameKind.RoutesRequest, writeRequest({ epoch, version }))) peer.asked = 2
  }

  private onRequest(peer: PeerRoutes, { epoch, version }: SetVersion): void {
    if (peer.transfer !== undefined) return
    this.flush()
    const { own } = this
    const keys = epoch === own.epoch ? own.changedSince(version) : undefined
    if (keys !== undefined && keys.size * 2 <= own.size + 64) return this.sendChanges(peer, version, keys)
    peer.transfer = { rows: own.entries(), version: own.version, changed: new Set(), place: 0, waiting: undefined }
    this.transfer(peer, peer.transfer)
  }

  /** Several frames where they need it: only the last moves the peer's version on. */
  private sendChanges(peer: PeerRoutes, version: number, keys: Iterable<string>): void {
    const { own, writer } = this
    const { epoch } = own
    for (const key of keys) {
      writer.add(key, own.get(key))
      if (!writer.isFull) continue
      const body = writer.take({ epoch, from: version, to: version, last: false })
      // The next digest tells the peer.
      if (!this.bus.send(peer.name, FrameKind.RoutesDelta, body)) return
    }
    const body = writer.take({ epoch, from: version, to: own.version, last: true })
    this.bus.send(peer.name, FrameKind.RoutesDelta, body)
  }

  private transfer(peer: PeerRoutes, transfer: Transfer): void {
    const { own, writer } = this
    for (let frames = 0; frames < framesAtATime; frames++) {
      let ended = false
      if (transfer.waiting === undefined) {
        while (!writer.isFull) {
          const next = transfer.rows.next()
          if (next.done === true) {
            ended = true
            break
          }
          const [key, state] = next.value
          if (!transfer.changed.has(key)) writer.add(key, state)
        }
        const head = { epoch: own.epoch, from: transfer.place, to: transfer.version, last: ended }
        const { rows } = writer
        transfer.waiting = { body: writer.take(head), head, rows }
      }
      const { body, head, rows } = transfer.waiting
      if (this.bus.isCongested(peer.name) || !this.bus.send(peer.name, FrameKind.RoutesWhole, body)) {
        // The writer's buffer is used by others meanwhile.
        transfer.waiting = { body: Buffer.from(body), head, rows }
        return
      }
      transfer.waiting = undefined
      transfer.place += rows
      if (!head.last) continue
      peer.transfer = undefined
      if (transfer.version !== own.version) this.sendChanges(peer, transfer.version, transfer.changed)
      return
    }
  }

  private onWhole(peer: PeerRoutes, body: Buffer): void {
    const { epoch, from, last, to } = readRowsHead(body)
    if (from === 0 && peer.whole === undefined) {
      this.table.unmark(peer.number)
      peer.whole = { epoch, version: to, digest: new Digest(), place: 0, rows: 0, owed: 0 }
    }
    const { whole } = peer
    if (whole === undefined || whole.epoch !== epoch || whole.version !== to || whole.place !== from) {
      throw new FrameMalformed("a part of a set of routes that is not the next one")
    }
    readRows(body, (key, state) => {
      this.table.set(peer.number, key, checked(key, state), true)
      whole.digest.add(key, state)
      whole.rows++
      whole.owed += owedBy(key, state)
    })
    whole.place = whole.rows
    if (!last) return
    if (this.keepsRemoved()) this.keepUnmarked(peer)
    this.table.sweep(peer.number, false)
    peer.whole = undefined
    peer.asked = 0
    peer.epoch = epoch
    peer.version = to
    peer.rows = whole.rows
    peer.owed = whole.owed
    peer.digest.a = whole.digest.a
    peer.digest.b = whole.digest.b
    this.wholesReceived++
    this.tellOwed(peer)
    this.isNow(peer)
  }

  private sendDigest(name: string): void {
    const { digest: { a, b }, epoch, size, version } = this.own
    this.bus.send(name, FrameKind.RoutesDigest, writeDigest({ epoch, version, a, b, rows: size }))
  }

  private peer(name: string): PeerRoutes {
    let peer = this.peers.get(name)
    if (peer === undefined) {
      peer = {
        number: this.numberOf(name),
        name,
        epoch: 0,
        version: -1,
        isCurrent: false,
        digest: new Digest(),
        rows: 0,
        owed: 0,
        isOwed: false,
        whole: undefined,
        asked: 0,
        transfer: undefined
      }
      this.peers.set(name, peer)
    }
    return peer
  }
}

const everything = "#"

const owedBy = (key: string, state: number): number => state === RouteLevel.Owed && !isGroupKey(key) ? 1 : 0

const checked = (key: string, state: number): number => {
  if (state > 0x7f && !isGroupKey(key)) throw new FrameMalformed("the state of a route")
  return state
}
