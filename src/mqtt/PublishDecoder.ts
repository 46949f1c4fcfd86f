import type { FrameReader } from "./FrameReader.ts"
import type { Message } from "./Message.ts"
import type { ProtocolVersion } from "./Packet.ts"
import type { TopicTable } from "./TopicTable.ts"

export interface PublishLimits {
  readonly maximumTopicAlias: number
  readonly maximumTopicLevels: number
  readonly maximumTopicLength?: number
}

/** One per connection: it holds the topic aliases that the client set. */
export class PublishDecoder {
  packetIdentifier: number
  dup: boolean

  constructor(_topics: TopicTable, _limits: PublishLimits) {
    this.packetIdentifier = 0
    this.dup = false
  }

  /** Throws ProtocolError. */
  decode(_reader: FrameReader, _version: ProtocolVersion, _publisher: string, _now: number): Message {
    throw new Error("not yet")
  }
}
