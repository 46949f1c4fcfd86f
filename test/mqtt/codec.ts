// The codec as a test uses it: bytes in, one message, packet or fault out.
import { assert } from "@effect/vitest"
import { decodeAcknowledgement } from "../../src/mqtt/acknowledgement.ts"
import { decodeControl } from "../../src/mqtt/decodeControl.ts"
import { FrameReader } from "../../src/mqtt/FrameReader.ts"
import type { Message } from "../../src/mqtt/Message.ts"
import { type ControlPacket, noMaximumPacketSize, type ProtocolVersion } from "../../src/mqtt/Packet.ts"
import { ProtocolError } from "../../src/mqtt/ProtocolError.ts"
import { PublishDecoder, type PublishLimits } from "../../src/mqtt/PublishDecoder.ts"
import { TopicTable } from "../../src/mqtt/TopicTable.ts"

export const limits: PublishLimits = { maximumTopicAlias: 10, maximumTopicLevels: 128 }

/** The reader with the first packet of `data` in it; that packet must be whole. */
export const readerOf = (data: Uint8Array): FrameReader => {
  const reader = new FrameReader(noMaximumPacketSize)
  reader.push(data)
  assert.isTrue(reader.next(), "the packet of the test is not whole")
  return reader
}

export const publishDecoder = (options: Partial<PublishLimits> = {}): PublishDecoder =>
  new PublishDecoder(new TopicTable({ slots: 64 }), { ...limits, ...options })

export const decodePublish = (data: Uint8Array, version: ProtocolVersion, now = 1_000): Message =>
  publishDecoder().decode(readerOf(data), version, "publisher", now)

export const decodePacket = (data: Uint8Array, version: ProtocolVersion): ControlPacket =>
  decodeControl(readerOf(data), version)

export const decodeAck = (data: Uint8Array, version: ProtocolVersion): number =>
  decodeAcknowledgement(readerOf(data), version)

/** The ProtocolError that `run` throws; anything else fails the test. */
export const faultOf = (run: () => unknown): ProtocolError => {
  let result: unknown
  try {
    result = run()
  } catch (error) {
    if (error instanceof ProtocolError) return error
    throw error
  }
  throw new Error(`it was accepted: ${JSON.stringify(result)}`)
}

/** Asserts what is thrown: the reason code and the clause. */
export const refuses = (run: () => unknown, reasonCode: number, clause: string): void => {
  const fault = faultOf(run)
  assert.strictEqual(
    `0x${fault.reasonCode.toString(16)} ${fault.clause}`,
    `0x${reasonCode.toString(16)} ${clause}`,
    fault.message
  )
}

/** Any packet, by its type, as a connection would take it. */
export const decodeAny = (reader: FrameReader, decoder: PublishDecoder, version: ProtocolVersion): unknown => {
  const type = reader.header >> 4
  if (type === 3) return decoder.decode(reader, version, "publisher", 1_000)
  return type >= 4 && type <= 7 ? decodeAcknowledgement(reader, version) : decodeControl(reader, version)
}

export const versions: ReadonlyArray<ProtocolVersion> = [3, 4, 5]
