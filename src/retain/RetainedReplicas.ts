// The retained messages of other nodes, as the retainer sees them. Declared here, implemented by the cluster (floor 3); a node without one has none.
// Invariant: every change that the retainer takes in is told, in the publisher's turn, before it is recorded.
import type { Message } from "../mqtt/Message.ts"

export interface RetainedReplicas {
  /** A message to be retained, or with an empty payload to be deleted, was taken in. What came from another node too: it is known there by its object. */
  taken(message: Message): void
  /** It has expired here, as it does everywhere. */
  expired(topic: string): void
}
