// The links to all other nodes: those that come in and those that are opened, of which one a pair survives. It is the cluster's `Bus`.
// Invariant: at most one link a node is up; parts hear `linkUp` and `linkDown` of it in turn; strangers can have so many handshakes
// under way, and so long, and no more.
import { randomBytes } from "node:crypto"
import type { ClusterSettings } from "../../config/Settings.ts"
import type { Counters } from "../../metrics/Counters.ts"
import type { EventLog } from "../../metrics/EventLog.ts"
import type { Scheduler, Task } from "../../otp/Scheduler.ts"
import { type ClientTls, connect } from "../../platform/connect.ts"
import { hostPort, type TcpHandlers, type TcpSocket } from "../../platform/Tcp.ts"
import type { Bus, BusPart, FrameKind, Peer } from "../Bus.ts"
import type { Carrier } from "../Cluster.ts"
import { Dialer, keyOf, type Target } from "./Dialer.ts"
import { type Identity, reasonOf, Refusal, type Versions, versions } from "./handshake.ts"
import { lastBytesMillis, Link, type LinkOwner } from "./Link.ts"

/** A link that has heard nothing for so many heartbeats is closed. */
const silentHeartbeats = 5
/** Handshakes of strangers under way. */
const mostHandshakes = 256
const windowBytes = 4 * 1024 * 1024
/** So much is taken in before others have a turn: the sessions that it is for take it out of their mailboxes meanwhile, which have a bound. */
const bytesPerTurn = 64 * 1024
/** The same refusal of the same node is told again after this. */
const tellAgainMillis = 600_000
const mostTold = 1_000

export interface LinksOptions {
  readonly settings: ClusterSettings
  /** Of `settings`, or out of its file: one, or while it is changed two. */
  readonly secrets: ReadonlyArray<string>
  readonly name: string
  /** Of this start: greater than that of any before; ms since 1970. */
  readonly epoch: number
  readonly scheduler: Scheduler
  readonly counters: Counters
  readonly log: EventLog
  /** Something is to be worked on: `Cluster.wake`. */
  readonly wake: () => void
  readonly tls?: ClientTls | undefined
  readonly random?: () => number
  /** For tests of upgrades. */
  readonly versions?: Versions
  /** Version of the program, for people. */
  readonly program?: string
}

export class Links implements Bus, Carrier, LinkOwner, Task {
  readonly self: Peer
  readonly peers = new Map<string, Peer>()
  readonly identity: Omit<Identity, "nonce">
  readonly maxFrameBytes: number
  readonly maxSendQueueBytes: number
  readonly dialer: Dialer
  secrets: ReadonlyArray<string>
  /** What this node shows when it calls another one; undefined: no TLS. For links from now on. */
  tls: ClientTls | undefined
  /** Asked for a node that is let in; membership's. */
  admits: (name: string, epoch: number) => Refusal | undefined = () => undefined
  /** Asked before an address that has a name is tried; membership's. */
  isMember: (name: string) => boolean = () => false
  private readonly options: LinksOptions
  private readonly all = new Set<Link>()
  private readonly byName = new Map<string, Link>()
  private readonly targets = new Map<Link, Target>()
  private toWork: Array<Link> = []
  private toFlush: Array<Link> = []
  private flushing = false
  private isWithdrawn = false
  private readonly told = new Map<string, number>()

  constructor(options: LinksOptions) {
    this.options = options
    const { epoch, name, settings } = options
    const spoken = options.versions ?? versions
    this.self = { name, epoch, version: spoken.highest }
    this.secrets = options.secrets
    this.tls = options.tls
    this.maxFrameBytes = settings.maxFrameBytes
    this.maxSendQueueBytes = settings.maxSendQueueBytes
    this.identity = {
      versions: spoken,
      cluster: settings.name,
      name,
      epoch,
      instance: randomBytes(16),
      window: windowBytes,
      program: options.program ?? ""
    }
    this.dialer = new Dialer({
      self: name,
      maxBackoffMillis: settings.maxBackoffMillis,
      recheckMillis: settings.discoveryIntervalMillis,
      random: options.random ?? Math.random,
      dial: (target) => this.dial(target),
      isUp: (peer) => this.byName.has(peer),
      isMember: (peer) => this.isMember(peer)
    })
  }

  /** What a listener of the platform is given. */
  readonly handlers: TcpHandlers<Link | undefined> = {
    open: (socket) => this.accepted(socket),
    data: (link, chunk) => link?.onChunk(chunk),
    drain: (link) => link?.onDrain(),
    close: (link, error) => link?.onClose(error)
  }

  /** Connections that are not through theirs, either way. */
  get handshakes(): number {
    let count = 0
    for (const { phase } of this.all) if (phase !== "up" && phase !== "closed") count++
    return count
  }

  get links(): ReadonlyMap<string, Link> {
    return this.byName
  }

  send(peer: string, kind: FrameKind, body: Uint8Array): boolean {
    const link = this.byName.get(peer)
    if (link === undefined) return false
    const sent = link.send(kind, body)
    if (!sent) this.options.counters.cluster_queue_full_total++
    return sent
  }

  isCongested(peer: string): boolean {
    return this.byName.get(peer)?.queue.isCongested ?? true
  }

  /** The link to this node, if there is one; it is called again. */
  drop(name: string, reason: string): void {
    this.byName.get(name)?.close(reason, this.options.scheduler.now)
  }

  /** Calls nobody and lets nobody in, until it is opened again; what was sent still goes. */
  withdraw(reason: string): void {
    this.isWithdrawn = true
    for (const link of this.byName.values()) link.close(reason, this.options.scheduler.now)
  }

  open(): void {
    this.isWithdrawn = false
  }

  // Of the cluster's actor.

  /** From here on these hold. Links by a secret that is none of them any more are made anew; how many. */
  useSecrets(secrets: ReadonlyArray<string>): number {
    this.secrets = secrets
    let count = 0
    for (const link of this.byName.values()) {
      if (link.secret !== undefined && secrets.includes(link.secret)) continue
      link.close("its cluster secret holds no more", this.options.scheduler.now)
      count++
    }
    return count
  }

  work(parts: BusPart): void {
    const { now } = this.options.scheduler
    const woken = this.toWork
    const served: Array<Link> = []
    this.toWork = []
    let left = bytesPerTurn
    for (const link of woken) {
      if (left <= 0) {
        this.toWork.push(link)
        continue
      }
      link.isWoken = false
      const before = link.bytesReceived
      if (link.work(parts, now, left)) served.push(link)
      left -= link.bytesReceived - before
      this.options.counters.cluster_bytes_received_total += link.bytesReceived - before
      if (link.phase === "closed") this.closed(link, parts)
    }
    // Whoever has more is served after those who have waited.
    for (const link of served) if (link.phase !== "closed") this.woken(link)
    if (this.toWork.length > 0) this.options.wake()
  }

  tick(now: number): void {
    const { connectTimeoutMillis, heartbeatIntervalMillis } = this.options.settings
    for (const link of this.all) {
      if (link.phase === "closed") {
        if (now - link.closedAt > lastBytesMillis) {
          link.socket.destroy()
          this.all.delete(link)
        }
      } else if (link.phase !== "up") {
        if (now - link.openedAt > connectTimeoutMillis) link.close("the handshake took too long", now)
      } else if (now - link.lastHeard > silentHeartbeats * heartbeatIntervalMillis) {
        link.close("silent for too long", now)
      } else link.tick(now, heartbeatIntervalMillis)
    }
    if (!this.isWithdrawn) this.dialer.tick(now)
  }

  close(parts: BusPart): void {
    const lost = [...this.peers.values()]
    this.dialer.close()
    for (const { socket } of this.all) {
      // What this node has said last still goes, if it goes soon.
      socket.end()
      setTimeout(() => socket.destroy(), lastBytesMillis).unref()
    }
    this.all.clear()
    this.byName.clear()
    this.peers.clear()
    this.targets.clear()
    this.toWork = []
    for (const peer of lost) {
      this.dialer.lost(peer.name, this.options.scheduler.now, "this node's cluster was stopped")
      parts.linkDown(peer)
    }
  }

  // Of a link.

  woken(link: Link): void {
    if (link.isWoken) return
    link.isWoken = true
    this.toWork.push(link)
    this.options.wake()
  }

  unflushed(link: Link): void {
    if (link.isUnflushed) return
    link.isUnflushed = true
    this.toFlush.push(link)
    if (this.flushing) return
    this.flushing = true
    this.options.scheduler.enqueueFlush(this)
  }

  /** At the end of the scheduler's turn, whoever has sent: one write a link. */
  run(): void {
    this.flushing = false
    const unflushed = this.toFlush
    this.toFlush = []
    for (const link of unflushed) {
      link.isUnflushed = false
      const { queue } = link
      const before = queue.written
      link.flush()
      this.options.counters.cluster_bytes_sent_total += queue.written - before
      if (queue.wanted) this.woken(link)
    }
  }

  judge(link: Link, theirs: Identity): Refusal | undefined {
    if (this.isWithdrawn) return Refusal.Leaving
    if (this.secrets.includes("") && !isOfThisMachine(link.socket.remoteAddress)) return Refusal.Secret
    const known = this.byName.get(theirs.name)
    if (known !== undefined) {
      if (known.theirs?.instance.equals(theirs.instance)) return Refusal.Twice
      // Restarted without the old link's end having come, or another node with its name: the old one is asked for a sign of life.
      const { now } = this.options.scheduler
      if (now - known.lastHeard <= this.options.settings.heartbeatIntervalMillis * 1.5) return Refusal.Name
      known.close("the node has come again", now)
    }
    const refusal = this.admits(theirs.name, theirs.epoch)
    if (refusal !== undefined) return refusal
    if (link.role === "initiator") return undefined
    // Both have called each other: the call of the one whose name comes first counts.
    for (const other of this.all) {
      if (other === link || other.role !== "initiator" || other.phase !== "proving") continue
      if (other.theirs?.name !== theirs.name) continue
      if (this.self.name < theirs.name) return Refusal.Twice
      other.close("the other node's call counts", this.options.scheduler.now)
    }
    return undefined
  }

  up(link: Link, parts: BusPart): void {
    const { peer } = link
    if (peer === undefined) return
    const before = this.byName.get(peer.name)
    if (before !== undefined) {
      before.close("another link to the same node", this.options.scheduler.now)
      this.closed(before, parts)
    }
    this.byName.set(peer.name, link)
    this.peers.set(peer.name, peer)
    this.options.counters.cluster_links_opened_total++
    const target = this.targets.get(link)
    if (target !== undefined) {
      target.name = peer.name
      this.targets.delete(link)
      this.dialer.reached(target, this.options.scheduler.now)
    }
    this.options.log.info("cluster: link up", {
      node: peer.name,
      address: addressOf(link.socket),
      opened_by: link.role === "initiator" ? "us" : "it"
    })
  }

  misunderstood(link: Link, detail: string): void {
    this.options.counters.cluster_frames_bad_total++
    this.options.log.warning("cluster: frame not understood, its link is closed", { node: link.peer?.name, detail })
  }

  refused(link: Link, byUs: boolean, code: number, detail: string): void {
    const target = this.targets.get(link)
    if (target !== undefined && link.theirs !== undefined) target.name = link.theirs.name
    if (code === Refusal.Twice || code === Refusal.Myself) {
      if (target === undefined) return
      if (code === Refusal.Myself) target.name = this.self.name
      this.targets.delete(link)
      return this.dialer.reached(target, this.options.scheduler.now)
    }
    const reason = detail === "" ? reasonOf(code) : `${reasonOf(code)}: ${detail}`
    if (byUs) this.options.counters.cluster_links_refused_total++
    this.tell(byUs ? "cluster: node refused" : "cluster: refused by a node", {
      address: target === undefined ? addressOf(link.socket) : keyOf(target.address),
      node: link.theirs?.name,
      reason
    })
    if (target === undefined) return
    this.targets.delete(link)
    this.dialer.failed(target, reason, this.options.scheduler.now)
  }

  private accepted(socket: TcpSocket): Link | undefined {
    if (this.all.size - this.byName.size >= mostHandshakes) {
      this.options.counters.cluster_links_refused_total++
      this.options.log.warning("cluster: connection closed: too many handshakes at the same time", {})
      socket.destroy()
      return undefined
    }
    return this.begin("acceptor", socket)
  }

  private begin(role: "acceptor" | "initiator", socket: TcpSocket): Link {
    const link = new Link(this, role, socket, this.options.scheduler.refresh())
    this.all.add(link)
    return link
  }

  private dial(target: Target): () => void {
    const { settings, scheduler } = this.options
    let link: Link | undefined
    const cancel = connect(
      { ...target.address, timeoutMillis: settings.connectTimeoutMillis, tls: this.tls },
      {
        ...this.handlers,
        open: (socket) => {
          link = this.begin("initiator", socket)
          this.targets.set(link, target)
          return link
        }
      },
      (reason) => this.unreachable(target, reason)
    )
    return () => {
      cancel()
      if (link !== undefined) this.targets.delete(link)
      link?.close("not wanted any more", scheduler.now)
    }
  }

  private unreachable(target: Target, reason: string): void {
    const fields = { address: keyOf(target.address), node: target.name, reason }
    const isNews = this.dialer.failed(target, reason, this.options.scheduler.refresh())
    if (isNews) this.options.log.info("cluster: cannot reach a node, trying on", fields)
    else this.options.log.debug("cluster: cannot reach a node", fields)
  }

  /** Its end, once, for the parts and for whoever had called. */
  private closed(link: Link, parts: BusPart): void {
    const { counters, log, scheduler } = this.options
    if (link.gone) this.all.delete(link)
    const target = this.targets.get(link)
    if (target !== undefined) {
      this.targets.delete(link)
      this.unreachable(target, link.reason)
    }
    const { peer } = link
    if (peer === undefined || this.byName.get(peer.name) !== link) return
    this.byName.delete(peer.name)
    this.peers.delete(peer.name)
    counters.cluster_links_closed_total++
    log.info("cluster: link down", { node: peer.name, reason: link.reason })
    this.dialer.lost(peer.name, scheduler.now, link.reason)
    parts.linkDown(peer)
  }

  /** One line for each node and reason, again after a while. */
  private tell(
    line: string,
    fields: { readonly address: string; readonly node: string | undefined; readonly reason: string }
  ): void {
    const { now } = this.options.scheduler
    // A stranger calls from another port each time.
    const key = `${line} ${fields.node ?? fields.address.replace(/:\d+$/, "")} ${fields.reason}`
    const before = this.told.get(key)
    if (before !== undefined && now - before < tellAgainMillis) return this.options.log.debug(line, fields)
    if (this.told.size >= mostTold) this.told.clear()
    this.told.set(key, now)
    this.options.log.warning(line, fields)
  }
}

const addressOf = (socket: TcpSocket): string =>
  socket.remotePort === 0 ? "a Unix socket" : hostPort(socket.remoteAddress, socket.remotePort)

const isOfThisMachine = (address: string): boolean => /^(?:::ffff:)?127\.|^::1$/i.test(address)
