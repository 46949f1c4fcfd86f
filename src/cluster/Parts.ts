// The parts of a node's cluster, and which of them gets a frame. Used by Cluster.ts and by the in-memory network of the tests.
// Invariant: a kind belongs to one part; frames of kinds that no part has are passed over, so that versions can mix.
import type { BusPart, FrameKind, Peer } from "./Bus.ts"

export class Parts implements BusPart {
  readonly kinds: ReadonlyArray<FrameKind> = []
  private readonly all: Array<BusPart> = []
  private readonly byKind: Array<BusPart | undefined> = []

  /** In the order of addition they hear of links and of time. */
  add(part: BusPart): void {
    for (const kind of part.kinds) {
      if (this.byKind[kind] !== undefined) throw new Error(`two parts for frames of kind ${kind}`)
      this.byKind[kind] = part
    }
    this.all.push(part)
  }

  linkUp(peer: Peer): void {
    for (const part of this.all) part.linkUp(peer)
  }

  linkDown(peer: Peer): void {
    for (const part of this.all) part.linkDown(peer)
  }

  receive(peer: Peer, kind: FrameKind, body: Buffer): void {
    this.byKind[kind]?.receive(peer, kind, body)
  }

  writable(peer: Peer): void {
    for (const part of this.all) part.writable?.(peer)
  }

  tick(now: number): void {
    for (const part of this.all) part.tick?.(now)
  }
}
