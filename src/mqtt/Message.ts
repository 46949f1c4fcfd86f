import type { Buffer } from "node:buffer"
import type { ProtocolVersion, PublishProperties, QoS } from "./Packet.ts"
import type { TopicName } from "./TopicTable.ts"

/** A range of bytes that is one whole packet. */
export interface Frame {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}

export class Message implements Frame {
  readonly topicName: TopicName
  /** The client id of who published it; "" for the broker itself. */
  readonly publisher: string
  /** buffer[start..end) is the PUBLISH as it came in. */
  buffer: Buffer
  start: number
  end: number
  readonly receivedAt: number
  readonly expiresAt: number
  sequence: number

  constructor(
    topicName: TopicName,
    publisher: string,
    buffer: Buffer,
    start: number,
    end: number,
    now: number,
    expiresAt: number
  ) {
    this.topicName = topicName
    this.publisher = publisher
    this.buffer = buffer
    this.start = start
    this.end = end
    this.receivedAt = now
    this.expiresAt = expiresAt
    this.sequence = 0
  }

  static make(_options: {
    readonly topic: TopicName | string
    readonly payload: Uint8Array
    readonly qos: QoS
    readonly retain: boolean
    readonly publisher: string
    readonly properties: PublishProperties | null
    readonly now: number
  }): Message {
    throw new Error("not yet")
  }

  get topic(): string {
    return this.topicName.text
  }

  get qos(): QoS {
    throw new Error("not yet")
  }

  get retain(): boolean {
    throw new Error("not yet")
  }

  /** Read from the bytes on first use. */
  get properties(): PublishProperties | null {
    throw new Error("not yet")
  }

  /** A view, made anew on each call: use `payloadLength` where that is enough. */
  get payload(): Buffer {
    throw new Error("not yet")
  }

  get payloadLength(): number {
    throw new Error("not yet")
  }

  isExpired(now: number): boolean {
    return this.expiresAt !== 0 && now >= this.expiresAt
  }

  detach(): void {
    throw new Error("not yet")
  }

  /** QoS 0, RETAIN 0, DUP 0, no subscription identifiers, no message expiry: with `expiresAt !== 0` use writePublish. */
  frame(_version: ProtocolVersion): Frame {
    throw new Error("not yet")
  }
}
