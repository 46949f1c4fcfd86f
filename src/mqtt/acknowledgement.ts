import type { FrameReader } from "./FrameReader.ts"
import type { Output } from "./Output.ts"
import { type AcknowledgementType, PacketType, type ProtocolVersion } from "./Packet.ts"
import { ByteReader } from "./ByteReader.ts"
import { PacketKind, readProperties } from "./Properties.ts"
import { ProtocolError } from "./ProtocolError.ts"
import { ReasonCode } from "./ReasonCode.ts"

/**
 * PUBACK, PUBREC, PUBREL and PUBCOMP: on the packet path they are a number, never an object.
 * Reason strings and user properties that a client adds are checked and dropped: nothing here has a use for them.
 */

/** packetIdentifier | reasonCode << 16 of the acknowledgement in the reader. Throws ProtocolError. */
export const decodeAcknowledgement = (reader: FrameReader, version: ProtocolVersion): number => {
  const buffer = reader.buffer
  const body = reader.bodyStart
  const length = reader.end - body
  const header = reader.header
  if ((header & 0x0f) !== ((header & 0xf0) === 0x60 ? 2 : 0)) checkFlags(header, version)
  if (length < 2) throw malformed("MQTT5-3.4.2", "an acknowledgement without a packet identifier")
  const packetIdentifier = ((buffer[body] as number) << 8) | (buffer[body + 1] as number)
  // [MQTT-2.3.1-1] [MQTT-2.2.1-3]
  if (packetIdentifier === 0) {
    throw new ProtocolError(ReasonCode.ProtocolError, "MQTT-2.3.1-1", "packet identifier 0 in an acknowledgement")
  }
  return length === 2 ? packetIdentifier : packetIdentifier | (longForm(reader, version) << 16)
}

/**
 * Reserves its room itself. The reason code goes to MQTT 5 clients alone, and there only when it is not success. No
 * reason string and no
 * user property, ever: it fits into any Maximum Packet Size and needs no Request Problem Information [MQTT5-3.4.2-2]
 * [MQTT5-3.4.2-3]
 * [MQTT5-3.5.2-2] [MQTT5-3.5.2-3] [MQTT5-3.6.2-2] [MQTT5-3.6.2-3] [MQTT5-3.7.2-2] [MQTT5-3.7.2-3] [MQTT5-3.1.2-29].
 */
export const writeAcknowledgement = (
  out: Output,
  type: AcknowledgementType,
  packetIdentifier: number,
  reasonCode: number,
  version: ProtocolVersion
): void => {
  out.reserve(5)
  const buffer = out.buffer
  const at = out.position
  // [MQTT-3.6.1-1] PUBREL carries 0010
  buffer[at] = type === PacketType.Pubrel ? 0x62 : type << 4
  // [MQTT-2.3.1-6] [MQTT5-2.2.1-5] the packet identifier of the PUBLISH
  buffer[at + 2] = packetIdentifier >>> 8
  buffer[at + 3] = packetIdentifier & 0xff
  if (version === 5 && reasonCode !== 0) {
    buffer[at + 1] = 3
    buffer[at + 4] = reasonCode
    out.position = at + 5
  } else {
    buffer[at + 1] = 2
    out.position = at + 4
  }
}

const malformed = (clause: string, message: string): ProtocolError =>
  new ProtocolError(ReasonCode.MalformedPacket, clause, message)

const checkFlags = (header: number, version: ProtocolVersion): void => {
  const pubrel = header >> 4 === PacketType.Pubrel
  // [MQTT31-6] MQTT 3.1 marks a PUBREL that is sent again with DUP.
  if (version === 3 && pubrel && (header & 0x0f) === 0x0a) return
  // [MQTT-3.6.1-1] [MQTT-2.2.2-1] [MQTT-2.2.2-2] [MQTT-2.1.3-1]
  throw malformed(pubrel ? "MQTT-3.6.1-1" : "MQTT-2.2.2-2", "an acknowledgement with flags that it must not have")
}

const longForm = (reader: FrameReader, version: ProtocolVersion): number => {
  if (version !== 5) throw malformed("MQTT-4.8.0-1", "an acknowledgement with bytes after its packet identifier")
  const type = reader.header >> 4
  const reasonCode = reader.buffer[reader.bodyStart + 2] as number
  const allowed = type <= PacketType.Pubrec ? receiptReasons : releaseReasons
  // [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]
  if (!allowed.includes(reasonCode)) {
    throw new ProtocolError(
      ReasonCode.ProtocolError,
      `MQTT-3.${type}.2-1`,
      `reason code ${reasonCode} in an acknowledgement that does not know it`
    )
  }
  // The property length may be left out where there is nothing after the reason code.
  if (reader.end - reader.bodyStart > 3) {
    const bytes = new ByteReader(reader.buffer, reader.bodyStart + 3, reader.end)
    readProperties(bytes, PacketKind.Acknowledgement)
    bytes.expectEnd()
  }
  return reasonCode
}

const receiptReasons: ReadonlyArray<number> = [
  ReasonCode.Success,
  ReasonCode.NoMatchingSubscribers,
  ReasonCode.UnspecifiedError,
  ReasonCode.ImplementationSpecificError,
  ReasonCode.NotAuthorized,
  ReasonCode.TopicNameInvalid,
  ReasonCode.PacketIdentifierInUse,
  ReasonCode.QuotaExceeded,
  ReasonCode.PayloadFormatInvalid
]

const releaseReasons: ReadonlyArray<number> = [ReasonCode.Success, ReasonCode.PacketIdentifierNotFound]
