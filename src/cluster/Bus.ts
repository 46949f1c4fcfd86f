// What the parts of the cluster (membership, routes, forwarder, directory, replicas) see of each other's nodes: frames to peers and from them.
// Implemented over TCP by Links.ts, and in memory by test/cluster/MemoryBus.ts. Plain code, called in turns of the cluster's actors.
// Invariants: frames to one peer arrive in the order sent, each once, while its link is up (those of the links and of membership may overtake
// the others); a link that broke is up again only after `linkDown` and `linkUp`, and nothing sent before that arrives after it.

/** The byte after the length of a frame. A kind belongs to one part; a peer ignores kinds that it does not know, so that versions can mix. */
export const FrameKind = {
  /** Links.ts: handshake, credit, ping. 0x00 to 0x0f */
  Hello: 0x00,
  Challenge: 0x01,
  Proof: 0x02,
  Welcome: 0x03,
  Refused: 0x04,
  Credit: 0x05,
  /** Membership. 0x10 to 0x1f */
  Probe: 0x10,
  ProbeAck: 0x11,
  ProbeRequest: 0x12,
  MemberState: 0x13,
  Leaving: 0x14,
  /** Routes. 0x20 to 0x2f */
  RoutesDelta: 0x20,
  RoutesDigest: 0x21,
  RoutesRequest: 0x22,
  RoutesWhole: 0x23,
  /** Forwarder. 0x30 to 0x3f */
  Messages: 0x30,
  MessagesAck: 0x31,
  ForwardPosition: 0x32,
  SessionGaps: 0x33,
  Gaps: 0x34,
  GapsTold: 0x35,
  GapsFilled: 0x36,
  /** Directory and take-over. 0x40 to 0x5f */
  Claim: 0x40,
  ClaimAnswer: 0x41,
  Yield: 0x42,
  SessionPart: 0x43,
  SessionTaken: 0x44,
  Announce: 0x45,
  Release: 0x46,
  Settled: 0x47,
  Fence: 0x48,
  FencePassed: 0x49,
  Question: 0x4a,
  QuestionAnswer: 0x4b,
  Told: 0x4c,
  SessionEnded: 0x4d,
  Offer: 0x4e,
  OfferRefused: 0x4f,
  Closing: 0x50,
  LateRefused: 0x51,
  AskFence: 0x52,
  /** Retained and other replicas. 0x60 to 0x6f */
  RetainedDelta: 0x60,
  RetainedDigest: 0x61,
  RetainedRequest: 0x62,
  RecordDelta: 0x68,
  RecordDigest: 0x69,
  RecordRequest: 0x6a,
  /** What a node is. 0x70 to 0x7f */
  Introduction: 0x70
} as const
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind]

export interface Peer {
  /** Unique in the cluster: its node name. */
  readonly name: string
  /** Of its start: another one after a restart, and greater. ms since 1970. */
  readonly epoch: number
  /** Of the protocol between nodes, agreed with it. */
  readonly version: number
}

export interface Bus {
  readonly self: Peer
  /** Those with a link that is up. */
  readonly peers: ReadonlyMap<string, Peer>
  /** From any turn of the scheduler. The body is copied. False: no link, or its queue is full; what must not be lost is kept by the caller until it is acknowledged. */
  send(peer: string, kind: FrameKind, body: Uint8Array): boolean
  /** Of the link's send queue; a part that has much to send waits for `writable`. */
  isCongested(peer: string): boolean
}

/** A part of the cluster. It gets the kinds that it has registered for. */
export interface BusPart {
  readonly kinds: ReadonlyArray<FrameKind>
  linkUp(peer: Peer): void
  linkDown(peer: Peer): void
  /** The body is a view into the read buffer, valid until it returns; throws only for bytes that no version of ours would send: the link is closed. */
  receive(peer: Peer, kind: FrameKind, body: Buffer): void
  /** The queue to this peer has room again. */
  writable?(peer: Peer): void
  /** Time passes, about every 100 ms; ms since 1970. */
  tick?(now: number): void
}

/** Whom the cluster has, link or not. Membership owns it. */
export type MemberStatus = "alive" | "suspect" | "dead" | "left"

export interface Members {
  readonly self: string
  /** Of all members that are not left or forgotten, this one among them. */
  status(name: string): MemberStatus | undefined
  /** Alive or suspect, this one among them, sorted by name: what rendezvous hashing counts with. */
  readonly present: ReadonlyArray<string>
}

/** Told in the cluster's turn, after `Members` shows it. */
export interface MembersListener {
  memberChanged(name: string, status: MemberStatus | "forgotten"): void
}
