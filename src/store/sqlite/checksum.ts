// The checksum of a stored row: CRC-32 of its keys and its body, the last four bytes of the body; so a flipped byte, and a row under a wrong
// key, are found when it is read.
import { crc32 } from "node:zlib"
import { checksumSize } from "../records/packGroup.ts"

const keys = new DataView(new ArrayBuffer(16))
const keyBytes = new Uint8Array(keys.buffer)

/** Of two keys and a body without its checksum. */
export const checksumOf = (a: number, b: number, content: Uint8Array): number => {
  keys.setFloat64(0, a, true)
  keys.setFloat64(8, b, true)
  return crc32(content, crc32(keyBytes))
}

/** The body without its checksum; undefined: damaged. */
export const contentOf = (a: number, b: number, body: unknown): Uint8Array | undefined => {
  if (!(body instanceof Uint8Array) || body.length < checksumSize) return undefined
  const end = body.length - checksumSize
  const content = body.subarray(0, end)
  const stored = (body[end] ?? 0) + (body[end + 1] ?? 0) * 0x100 + (body[end + 2] ?? 0) * 0x10000 +
    (body[end + 3] ?? 0) * 0x1000000
  return checksumOf(a, b, content) === stored ? content : undefined
}

/** The exchange of a delivery with 16 bits of a checksum above it; 0 (queued) stands for itself. */
export const sealExchange = (session: number, sequence: number, exchange: number): number => {
  if (exchange === 0) return 0
  return (checksumOf(session, sequence, Uint8Array.of(exchange, exchange >> 8, exchange >> 16)) & 0xffff) * 2 ** 18 +
    exchange
}

/** undefined: damaged. */
export const openExchange = (session: number, sequence: number, sealed: unknown): number | undefined => {
  if (typeof sealed !== "number") return undefined
  const exchange = sealed % 2 ** 18
  return sealExchange(session, sequence, exchange) === sealed ? exchange : undefined
}
