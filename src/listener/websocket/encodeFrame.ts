// The frames that the broker sends: never masked, never in fragments, one binary frame for all that one flush writes. Pure.
import { copyBytes } from "../../mqtt/copyBytes.ts"

/** Of the longest header. */
export const longestFrameHeader = 10

/** Writes the header of a binary frame so that it ends before target[end); returns where it begins. */
export const putHeaderBefore = (target: Buffer, end: number, payload: number): number => {
  if (payload < 126) {
    target[end - 2] = 0x82
    target[end - 1] = payload
    return end - 2
  }
  if (payload < 65_536) {
    target[end - 4] = 0x82
    target[end - 3] = 126
    target[end - 2] = payload >>> 8
    target[end - 1] = payload & 0xff
    return end - 4
  }
  target[end - 10] = 0x82
  target[end - 9] = 127
  target.writeUInt32BE(Math.floor(payload / 2 ** 32), end - 8)
  target.writeUInt32BE(payload >>> 0, end - 4)
  return end - 10
}

/** Ping, Pong or Close; the payload has at most 125 bytes. */
const controlFrame = (opcode: number, payload: Buffer): Buffer => {
  const frame = Buffer.allocUnsafeSlow(2 + payload.length)
  frame[0] = 0x80 | opcode
  frame[1] = payload.length
  copyBytes(payload, 0, payload.length, frame, 2)
  return frame
}

export const pongFrame = (payload: Buffer): Buffer => controlFrame(0xa, payload)

/** `reason`: at most 123 bytes; what is longer is cut. */
export const closeFrame = (code: number, reason = ""): Buffer => {
  const text = Buffer.from(reason.slice(0, 120), "latin1")
  const payload = Buffer.allocUnsafeSlow(2 + text.length)
  payload.writeUInt16BE(code, 0)
  text.copy(payload, 2)
  return controlFrame(0x8, payload)
}
