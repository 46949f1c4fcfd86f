import type { FrameReader } from "./FrameReader.ts"
import type { Output } from "./Output.ts"
import type { AcknowledgementType, ProtocolVersion } from "./Packet.ts"

/** packetIdentifier | reasonCode << 16 of the PUBACK, PUBREC, PUBREL or PUBCOMP in the reader. Throws ProtocolError. */
export const decodeAcknowledgement = (_reader: FrameReader, _version: ProtocolVersion): number => {
  throw new Error("not yet")
}

/** Reserves its room itself. The reason code goes to MQTT 5 clients alone. */
export const writeAcknowledgement = (
  _out: Output,
  _type: AcknowledgementType,
  _packetIdentifier: number,
  _reasonCode: number,
  _version: ProtocolVersion
): void => {
  throw new Error("not yet")
}
