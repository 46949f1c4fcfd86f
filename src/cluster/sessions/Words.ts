// What the directory says to peers, and nobody says twice: answers, orders, releases. What a full queue refuses waits here and goes before what is said later.
// Plain code in the cluster's turns. Invariants: a peer hears its words in the order in which they were said, as long as its link is up; at most
// `mostWaiting` wait for one peer, what is beyond that is dropped and counted.
import type { Bus, FrameKind } from "../Bus.ts"

const mostWaiting = 100_000

interface Word {
  readonly kind: FrameKind
  readonly body: Uint8Array
}

/** What found no room here either. */
export interface WordCounts {
  cluster_words_dropped_total: number
}

export class Words {
  private readonly bus: Bus
  private readonly counts: WordCounts
  private readonly waiting = new Map<string, Array<Word>>()

  constructor(bus: Bus, counts: WordCounts) {
    this.bus = bus
    this.counts = counts
  }

  /** The body is copied. False: there is no link to it. */
  say(peer: string, kind: FrameKind, body: Uint8Array): boolean {
    const waiting = this.waiting.get(peer)
    if (waiting === undefined) {
      if (this.bus.send(peer, kind, body)) return true
      if (!this.bus.peers.has(peer)) return false
      this.waiting.set(peer, [{ kind, body: new Uint8Array(body) }])
    } else if (waiting.length < mostWaiting) waiting.push({ kind, body: new Uint8Array(body) })
    else this.counts.cluster_words_dropped_total++
    return true
  }

  /** Its queue has room. */
  writable(peer: string): void {
    const waiting = this.waiting.get(peer)
    if (waiting === undefined) return
    const refused = waiting.findIndex(({ body, kind }) => !this.bus.send(peer, kind, body))
    if (refused < 0) this.waiting.delete(peer)
    else if (refused > 0) this.waiting.set(peer, waiting.slice(refused))
  }

  /** What was said before its link broke is not for the next one. */
  linkDown(peer: string): void {
    this.waiting.delete(peer)
  }

  tick(): void {
    for (const peer of this.waiting.keys()) this.writable(peer)
  }
}
