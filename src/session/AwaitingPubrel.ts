// Packet identifiers of QoS 2 messages that came from a client, were handed on, and wait for PUBREL. It belongs to the
// session, so that a duplicate is known as one across a reconnect; the connection that is attached reads and writes it.
// Invariant: an identifier in here has been published exactly once [MQTT-4.3.3-2] [MQTT5-4.3.3-10].
import type { DurableState } from "./DurableState.ts"

export class AwaitingPubrel {
  readonly capacity: number
  private readonly durable: DurableState | null
  /** Packet identifier → when it came, ms; made by the first one. */
  private since: Map<number, number> | undefined

  /** `capacity`: most exchanges that a client may leave open at a time. */
  constructor(capacity: number, durable: DurableState | null = null) {
    this.capacity = capacity
    this.durable = durable
  }

  /** Whether its identifiers outlive the process. */
  get isDurable(): boolean {
    return this.durable !== null
  }

  get size(): number {
    return this.since?.size ?? 0
  }

  has(packetIdentifier: number): boolean {
    return this.since?.has(packetIdentifier) === true
  }

  get isFull(): boolean {
    return this.size >= this.capacity
  }

  add(packetIdentifier: number, now: number): void {
    this.since ??= new Map()
    this.since.set(packetIdentifier, now)
    this.durable?.awaitingPubrel(packetIdentifier, now)
  }

  /** What the store has of an earlier life, oldest first. */
  restore(exchanges: ReadonlyArray<{ readonly packetIdentifier: number; readonly since: number }>): void {
    if (exchanges.length === 0) return
    this.since = new Map(
      exchanges.toSorted((a, b) => a.since - b.since).map(({ packetIdentifier, since }) => [packetIdentifier, since])
    )
  }

  /** What another node had of its session. */
  takeOver(exchanges: ReadonlyArray<{ readonly packetIdentifier: number; readonly since: number }>): void {
    this.restore(exchanges)
    for (const { packetIdentifier, since } of exchanges) this.durable?.awaitingPubrel(packetIdentifier, since)
  }

  toArray(): ReadonlyArray<{ readonly packetIdentifier: number; readonly since: number }> {
    return [...this.since ?? []].map(([packetIdentifier, since]) => ({ packetIdentifier, since }))
  }

  /** False: no such exchange is open. */
  release(packetIdentifier: number): boolean {
    if (this.since?.delete(packetIdentifier) !== true) return false
    this.durable?.awaitingPubrel(packetIdentifier, 0)
    return true
  }

  /** Gives up exchanges that began before `before` (ms); returns how many. Oldest first, stops at the first young one. */
  expire(before: number): number {
    let expired = 0
    if (this.since === undefined) return expired
    for (const [packetIdentifier, at] of this.since) {
      if (at >= before) break
      this.since.delete(packetIdentifier)
      this.durable?.awaitingPubrel(packetIdentifier, 0)
      expired++
    }
    return expired
  }
}
