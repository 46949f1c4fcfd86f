// A network of nodes in memory, for the parts of the cluster: links that go up and down at the test's word, deliver after a delay, lose
// what was in flight when they break, and can be congested. Deterministic: time passes in `advance`, chance comes from a seed. Invariant:
// what Bus.ts promises; nothing is delivered but in `advance`.
import type { Bus, BusPart, FrameKind, Peer } from "../../src/cluster/Bus.ts"
import { Parts } from "../../src/cluster/Parts.ts"

export interface MemoryNetworkOptions {
  /** Of the first instant; ms since 1970. */
  readonly now?: number
  /** How long a frame is under way. */
  readonly delayMillis?: number
  /** Up to so much more, by chance. Frames of one link stay in order. */
  readonly jitterMillis?: number
  readonly seed?: number
  /** How much a link holds before `send` refuses: bytes under way to one peer. */
  readonly queueBytes?: number
}

interface Delivery {
  readonly at: number
  readonly serial: number
  readonly link: Link
  readonly to: MemoryNode
  readonly from: MemoryNode
  readonly kind: FrameKind
  readonly body: Buffer
}

class Link {
  readonly nodes: readonly [MemoryNode, MemoryNode]
  broken = false
  /** Frames wait, both ways: a slow network, or a silent one. */
  stalled: Array<Delivery> | undefined = undefined

  constructor(one: MemoryNode, other: MemoryNode) {
    this.nodes = [one, other]
  }
}

const tickMillis = 100

export class MemoryNode implements Bus {
  readonly parts = new Parts()
  readonly peers = new Map<string, Peer>()
  readonly links = new Map<string, Link>()
  /** When the last frame to a peer arrives, and bytes under way to it. */
  readonly arrival = new Map<string, number>()
  readonly underWay = new Map<string, number>()
  readonly refusing = new Set<string>()
  self: Peer
  sentFrames = 0
  sentBytes = 0
  private readonly network: MemoryNetwork

  constructor(network: MemoryNetwork, self: Peer) {
    this.network = network
    this.self = self
  }

  add(...parts: ReadonlyArray<BusPart>): this {
    for (const part of parts) this.parts.add(part)
    return this
  }

  send(peer: string, kind: FrameKind, body: Uint8Array): boolean {
    return this.network.send(this, peer, kind, body)
  }

  isCongested(peer: string): boolean {
    return this.refusing.has(peer) || (this.underWay.get(peer) ?? 0) > this.network.queueBytes / 2
  }
}

export class MemoryNetwork {
  now: number
  readonly nodes = new Map<string, MemoryNode>()
  readonly queueBytes: number
  /** Share of the frames that never arrive, 0 to 1: more than a TCP link would ever do, for membership. */
  loss = 0
  delivered = 0
  private readonly delayMillis: number
  private readonly jitterMillis: number
  private readonly queue: Array<Delivery> = []
  private serial = 0
  private chance: number

  constructor(options: MemoryNetworkOptions = {}) {
    this.now = options.now ?? 1_000_000
    this.delayMillis = options.delayMillis ?? 1
    this.jitterMillis = options.jitterMillis ?? 0
    this.queueBytes = options.queueBytes ?? Infinity
    this.chance = options.seed ?? 1
  }

  node(name: string, epoch = 1): MemoryNode {
    const node = new MemoryNode(this, { name, epoch, version: 1 })
    this.nodes.set(name, node)
    return node
  }

  /** The link is up on both sides, and their parts know it, when it returns. */
  connect(one: string, other: string): void {
    const [a, b] = [this.of(one), this.of(other)]
    if (a.links.has(other)) return
    const link = new Link(a, b)
    a.links.set(other, link)
    b.links.set(one, link)
    a.peers.set(other, b.self)
    b.peers.set(one, a.self)
    a.parts.linkUp(b.self)
    b.parts.linkUp(a.self)
  }

  connectAll(): void {
    const names = [...this.nodes.keys()]
    names.forEach((one, index) => names.slice(index + 1).forEach((other) => this.connect(one, other)))
  }

  /** What is under way on it, either way, is lost. */
  disconnect(one: string, other: string): void {
    const link = this.of(one).links.get(other)
    if (link === undefined) return
    link.broken = true
    for (const node of link.nodes) {
      const peer = node === link.nodes[0] ? link.nodes[1] : link.nodes[0]
      node.links.delete(peer.self.name)
      node.peers.delete(peer.self.name)
      node.underWay.delete(peer.self.name)
      node.arrival.delete(peer.self.name)
      node.refusing.delete(peer.self.name)
      node.parts.linkDown(peer.self)
    }
  }

  /** Every link between the two groups breaks. */
  split(some: ReadonlyArray<string>, others: ReadonlyArray<string>): void {
    for (const one of some) for (const other of others) this.disconnect(one, other)
  }

  /** Nothing arrives on this link, and its ends do not know; `resume` lets it go on where it was. */
  stall(one: string, other: string): void {
    const link = this.of(one).links.get(other)
    if (link !== undefined) link.stalled ??= []
  }

  resume(one: string, other: string): void {
    const link = this.of(one).links.get(other)
    const waiting = link?.stalled
    if (link === undefined || waiting === undefined) return
    link.stalled = undefined
    for (const delivery of waiting) this.push({ ...delivery, at: this.now + this.delayMillis })
  }

  /** `send` of this node to that peer answers false until it is allowed again, which `writable` tells. */
  congest(node: string, peer: string, congested: boolean): void {
    const sender = this.of(node)
    if (congested) return void sender.refusing.add(peer)
    const to = sender.peers.get(peer)
    if (sender.refusing.delete(peer) && to !== undefined) sender.parts.writable(to)
  }

  /** It is gone with all its links, as after kill -9; what it sent and has not arrived is lost. The node's object is of no more use. */
  kill(name: string): void {
    for (const peer of [...this.of(name).links.keys()]) this.disconnect(name, peer)
    this.nodes.delete(name)
  }

  /** Delivers what is due and ticks all parts every 100 ms, in the order of time. */
  advance(millis: number): void {
    const until = this.now + millis
    for (;;) {
      const tick = Math.floor(this.now / tickMillis + 1) * tickMillis
      const next = this.queue[0]
      if (next !== undefined && next.at <= Math.min(until, tick)) {
        this.pop()
        this.now = Math.max(this.now, next.at)
        this.deliver(next)
      } else if (tick <= until) {
        this.now = tick
        for (const node of [...this.nodes.values()]) node.parts.tick(tick)
      } else {
        this.now = until
        return
      }
    }
  }

  /** Of 0 to 1. */
  random(): number {
    this.chance = (this.chance + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.chance ^ (this.chance >>> 15), 1 | this.chance)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }

  send(from: MemoryNode, peer: string, kind: FrameKind, body: Uint8Array): boolean {
    const link = from.links.get(peer)
    if (link === undefined || from.refusing.has(peer)) return false
    const underWay = (from.underWay.get(peer) ?? 0) + body.length
    if (underWay > this.queueBytes) return false
    from.sentFrames++
    from.sentBytes += body.length + 5
    if (this.loss > 0 && this.random() < this.loss) return true
    from.underWay.set(peer, underWay)
    const to = link.nodes[0] === from ? link.nodes[1] : link.nodes[0]
    const jitter = this.jitterMillis === 0 ? 0 : Math.floor(this.random() * (this.jitterMillis + 1))
    const at = Math.max(this.now + this.delayMillis + jitter, from.arrival.get(peer) ?? 0)
    from.arrival.set(peer, at)
    this.push({ at, serial: this.serial++, link, to, from, kind, body: Buffer.from(body) })
    return true
  }

  private deliver(delivery: Delivery): void {
    const { body, from, kind, link, to } = delivery
    if (link.broken) return
    if (link.stalled !== undefined) return void link.stalled.push(delivery)
    this.delivered++
    const name = to.self.name
    const before = from.isCongested(name)
    from.underWay.set(name, (from.underWay.get(name) ?? 0) - body.length)
    to.parts.receive(from.self, kind, body)
    if (before && !link.broken && !from.isCongested(name)) from.parts.writable(to.self)
  }

  private of(name: string): MemoryNode {
    const node = this.nodes.get(name)
    if (node === undefined) throw new Error(`no node ${name}`)
    return node
  }

  // A binary heap: a simulation of a thousand members has a hundred thousand frames under way.
  private push(delivery: Delivery): void {
    const { queue } = this
    let index = queue.length
    queue.push(delivery)
    while (index > 0) {
      const parent = (index - 1) >> 1
      const above = queue[parent]
      if (above === undefined || !isBefore(delivery, above)) break
      queue[index] = above
      index = parent
    }
    queue[index] = delivery
  }

  private pop(): void {
    const { queue } = this
    const last = queue.pop()
    if (last === undefined || queue.length === 0) return
    let index = 0
    for (;;) {
      let child = index * 2 + 1
      let below = queue[child]
      const right = queue[child + 1]
      if (right !== undefined && below !== undefined && isBefore(right, below)) {
        child++
        below = right
      }
      if (below === undefined || !isBefore(below, last)) break
      queue[index] = below
      index = child
    }
    queue[index] = last
  }
}

const isBefore = (one: Delivery, other: Delivery): boolean =>
  one.at < other.at || (one.at === other.at && one.serial < other.serial)
