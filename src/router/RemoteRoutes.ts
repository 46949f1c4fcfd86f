// The subscribers of other nodes, as the router sees them. Declared here, implemented by the cluster (floor 3); a node without one has
// `noRemoteRoutes`. Invariant: whatever changes in the filters and shared groups that this node has, `changed`, `groupChanged` or `replaced`
// has said it, so that who looks then sees all of it.
import type { Message } from "../mqtt/Message.ts"
import type { TopicName } from "../mqtt/TopicTable.ts"
import type { Forward } from "./Forward.ts"
import type { SharedGroup } from "./SharedGroup.ts"

/** What the strongest normal subscription of a filter wants. */
export const RouteLevel = {
  /** QoS 0 only: a message may be lost on its way. */
  QoS0: 1,
  /** QoS 1 or 2 by sessions that end with their connection. */
  Assured: 2,
  /** QoS 1 or 2 by a session that outlives its connection: it is owed the message when its node comes back. */
  Owed: 3
} as const
export type RouteLevel = (typeof RouteLevel)[keyof typeof RouteLevel]

/** Place of a message among those of its publisher's node: `epoch` of the node's start, then `sequence` from 1 on. */
export interface Place {
  readonly node: string
  readonly epoch: number
  readonly sequence: number
}

export interface RemoteRoutes {
  /** What the acknowledgement of the message that was published last waits for; null: for nothing beyond this node. */
  readonly awaited: Forward | null
  /**
   * Of the message that is being given to sessions: the node that it came from; null: its publisher's node is this one; undefined: it is for that
   * session alone, or for the group that has chosen it.
   */
  readonly origin: string | null | undefined
  /** How far the messages of all nodes have come here, and this node's own. */
  places(): ReadonlyArray<Place>
  /** The same where some node is away; null: all are there. */
  placesInTrouble(): ReadonlyArray<Place> | null
  /** Those that this node has not reached. */
  behind(places: ReadonlyArray<Place>): ReadonlyArray<Place>
  /** Whether the message that is being given to sessions lies before one of these. */
  wasSeen(places: ReadonlyArray<Place>): boolean
  /**
   * Set before a QoS 2 message is published: whether its publisher's packet identifier, or will, is on disk. Then a crash must neither lose the
   * message nor send it twice.
   */
  publisherIsDurable: boolean
  /**
   * Hands the message to each peer that has a matching filter, or a group that has no member here; returns how many. Never blocks, never
   * throws.
   */
  publish(message: Message): number
  /** Whether some node may have a filter under `$SYS`: one that has gone may be counted still. */
  readonly wantsSystem: boolean
  /** Whether a message on this topic would go to another node now. */
  concerns(topicName: TopicName): boolean
  /** While the store takes nothing: whether a message on this topic could not be handed on. */
  needsStore(message: Message): boolean
  /** A normal subscription with this filter came, changed or went; "$local/" ones are not told. */
  changed(filter: string): void
  /** A member came to this shared group, or left it; `size` 0: the group has gone. */
  groupChanged(group: SharedGroup): void
  /** The router was rebuilt: anything may have changed, and the groups are other objects. */
  replaced(): void
}

export const noRemoteRoutes: RemoteRoutes = {
  awaited: null,
  origin: null,
  places: () => [],
  placesInTrouble: () => null,
  behind: () => [],
  wasSeen: () => false,
  publisherIsDurable: false,
  publish: () => 0,
  wantsSystem: false,
  concerns: () => false,
  needsStore: () => false,
  changed: () => {},
  groupChanged: () => {},
  replaced: () => {}
}
