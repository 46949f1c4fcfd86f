// Many members over the network in memory: each knows only whom it was told of, and connects to whom it hears of, as Dialer.ts does.
// Deterministic for a seed.
import type { MemberStatus } from "../../src/cluster/Bus.ts"
import { Membership } from "../../src/cluster/membership/Membership.ts"
import { MemoryNetwork, type MemoryNode } from "./MemoryBus.ts"

export interface SwarmOptions {
  readonly members: number
  readonly seed?: number
  readonly suspicionTimeoutMillis?: number
  readonly forgetAfterMillis?: number
  readonly maxMembers?: number
}

const redialMillis = 500

export class Swarmer {
  readonly node: MemoryNode
  readonly membership: Membership
  readonly wanted = new Set<string>()
  /** Of those that are wanted, whom it has no link to. */
  readonly missing = new Set<string>()
  /** What its listener was told: "b dead". */
  readonly events: Array<string> = []
  /** Whose links it has found of no use. */
  readonly buried: Array<string> = []

  constructor(network: MemoryNetwork, name: string, epoch: number, options: SwarmOptions) {
    this.node = network.node(name, epoch)
    this.membership = new Membership({
      bus: this.node,
      address: `${name}:4370`,
      now: network.now,
      probeIntervalMillis: 1_000,
      probeTimeoutMillis: 500,
      suspicionTimeoutMillis: options.suspicionTimeoutMillis ?? 5_000,
      forgetAfterMillis: options.forgetAfterMillis ?? 86_400_000,
      maxMembers: options.maxMembers ?? 10_000,
      random: () => network.random(),
      onBuried: (peer) => this.buried.push(peer),
      onAddress: (peer, address) => {
        if (address === undefined) {
          this.wanted.delete(peer)
          this.missing.delete(peer)
        } else this.want(peer)
      }
    })
    this.membership.listen({ memberChanged: (peer, status) => this.events.push(`${peer} ${status}`) })
    this.node.add(this.membership, {
      kinds: [],
      linkUp: (peer) => void this.missing.delete(peer.name),
      linkDown: (peer) => {
        if (this.wanted.has(peer.name)) this.missing.add(peer.name)
      },
      receive: () => {}
    })
  }

  want(peer: string): void {
    this.wanted.add(peer)
    if (!this.node.links.has(peer)) this.missing.add(peer)
  }
}

export class MemberSwarm {
  readonly network: MemoryNetwork
  readonly members = new Map<string, Swarmer>()
  /** Which pairs have no way to each other. */
  cut: (one: string, other: string) => boolean = () => false
  private readonly options: SwarmOptions
  private epoch = 1

  constructor(options: SwarmOptions) {
    this.options = options
    this.network = new MemoryNetwork({ seed: options.seed ?? 1, delayMillis: 1, jitterMillis: 4 })
    for (let index = 0; index < options.members; index++) this.start(nameOf(index))
  }

  /** A node comes up, or comes again. */
  start(name: string, epoch = this.epoch++): Swarmer {
    const member = new Swarmer(this.network, name, epoch, this.options)
    this.members.set(name, member)
    return member
  }

  kill(name: string): void {
    this.members.delete(name)
    this.network.kill(name)
  }

  /** Everyone has been given the address of the first. */
  seedAll(): void {
    for (const [name, member] of this.members) if (name !== nameOf(0)) member.want(nameOf(0))
  }

  /** Links between the parts break, and cannot be made. */
  split(...parts: ReadonlyArray<ReadonlyArray<string>>): void {
    const partOf = new Map(parts.flatMap((part, index) => part.map((name) => [name, index] as const)))
    this.cut = (one, other) => partOf.get(one) !== partOf.get(other)
    parts.forEach((part, index) => parts.slice(index + 1).forEach((other) => this.network.split(part, other)))
  }

  heal(): void {
    this.cut = () => false
  }

  /** Lets time pass until `done`, at most so long; returns how long it took, or undefined. */
  until(done: () => boolean, millis: number): number | undefined {
    const start = this.network.now
    while (this.network.now - start <= millis) {
      if (done()) return this.network.now - start
      this.advance(100)
    }
    return undefined
  }

  advance(millis: number): void {
    for (let left = millis; left > 0; left -= 100) {
      if (this.network.now % redialMillis === 0) this.dial()
      this.network.advance(Math.min(100, left))
    }
  }

  statusSeenBy(observer: string, name: string): MemberStatus | undefined {
    return this.members.get(observer)?.membership.status(name)
  }

  /** All of `observers` have this status of `name`. */
  agree(name: string, status: MemberStatus | undefined, observers: Iterable<string> = this.members.keys()): boolean {
    for (const observer of observers) {
      if (observer !== name && this.statusSeenBy(observer, name) !== status) return false
    }
    return true
  }

  /** Everyone counts with the same members, who are all there are. */
  get converged(): boolean {
    const first = this.members.values().next().value?.membership
    if (first === undefined) return true
    for (const { membership } of this.members.values()) {
      if (membership.present.length !== this.members.size || membership.table.digest !== first.table.digest) {
        return false
      }
    }
    return true
  }

  /** Everyone has a link to everyone. */
  get isMesh(): boolean {
    for (const { node } of this.members.values()) if (node.links.size !== this.members.size - 1) return false
    return true
  }

  get frames(): number {
    let frames = 0
    for (const { node } of this.members.values()) frames += node.sentFrames
    return frames
  }

  get bytes(): number {
    let bytes = 0
    for (const { node } of this.members.values()) bytes += node.sentBytes
    return bytes
  }

  private dial(): void {
    for (const [name, { missing }] of this.members) {
      for (const peer of missing) {
        if (this.members.has(peer) && !this.cut(name, peer)) this.network.connect(name, peer)
      }
    }
  }
}

export const nameOf = (index: number): string => `n${String(index).padStart(4, "0")}`
