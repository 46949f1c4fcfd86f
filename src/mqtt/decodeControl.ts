import type { FrameReader } from "./FrameReader.ts"
import type { ControlPacket, ProtocolVersion } from "./Packet.ts"

/** `version` is ignored for CONNECT, which brings its own. Throws ProtocolError, also for a type that no client sends. */
export const decodeControl = (_reader: FrameReader, _version: ProtocolVersion): ControlPacket => {
  throw new Error("not yet")
}
