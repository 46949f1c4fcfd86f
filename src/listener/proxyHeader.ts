// The PROXY header, versions 1 (text) and 2 (binary), by which a proxy says for whom it has opened a connection. Pure.
// Invariant: bytes that can no longer become a header are refused at once, and no header is waited for beyond its own maximum.
import { isIPv4, isIPv6 } from "node:net"
import type { PrefaceRead } from "../platform/Tcp.ts"

const beginningV1 = Buffer.from("PROXY ")
const beginningV2 = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a])
/** Of a whole line, its end included: the specification's worst case. */
const maximumV1 = 107
/** Of addresses and what may follow them; the specification allows more than any proxy sends. */
const maximumV2 = 4096

const beginsAs = (bytes: Buffer, beginning: Buffer): boolean => {
  const length = Math.min(bytes.length, beginning.length)
  return bytes.subarray(0, length).equals(beginning.subarray(0, length))
}

/** All bytes so far → the header; a text: what is wrong; undefined: more is needed. */
export const readProxyHeader = (bytes: Buffer): PrefaceRead | string | undefined => {
  if (bytes.length === 0) return undefined
  if (beginsAs(bytes, beginningV2)) return bytes.length < 16 ? undefined : readV2(bytes)
  if (beginsAs(bytes, beginningV1)) return readV1(bytes)
  return "it does not begin with a PROXY header"
}

const portOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined

const readV1 = (bytes: Buffer): PrefaceRead | string | undefined => {
  const end = bytes.indexOf("\r\n")
  if (end < 0 ? bytes.length >= maximumV1 : end + 2 > maximumV1) return "version 1: longer than 107 bytes"
  if (end < 0) return undefined
  const [protocol, source = "", target = "", sourcePort, targetPort, ...more] = bytes.toString("latin1", 6, end).split(
    " "
  )
  const length = end + 2
  if (protocol === "UNKNOWN") return { length, client: undefined }
  const isAddress = protocol === "TCP4" ? isIPv4 : protocol === "TCP6" ? isIPv6 : undefined
  if (isAddress === undefined) return "version 1: neither TCP4, TCP6 nor UNKNOWN"
  const port = portOf(sourcePort)
  if (
    !isAddress(source) || !isAddress(target) || port === undefined || portOf(targetPort) === undefined ||
    more.length > 0
  ) {
    return "version 1: addresses or ports are wrong"
  }
  return { length, client: { address: source, port } }
}

const readV2 = (bytes: Buffer): PrefaceRead | string | undefined => {
  const versionAndCommand = bytes.readUInt8(12)
  const family = bytes.readUInt8(13) >> 4
  const follows = bytes.readUInt16BE(14)
  if (versionAndCommand >> 4 !== 2) return "version 2: another version"
  const command = versionAndCommand & 0x0f
  if (command > 1) return "version 2: unknown command"
  if (follows > maximumV2) return "version 2: longer than 4,096 bytes"
  const length = 16 + follows
  if (bytes.length < length) return undefined
  // LOCAL: the proxy speaks for itself, as in a health check. Families without an IP address name nobody either.
  if (command === 0 || (family !== 1 && family !== 2)) return { length, client: undefined }
  if (family === 1) {
    if (follows < 12) return "version 2: too short for IPv4"
    return { length, client: { address: bytes.subarray(16, 20).join("."), port: bytes.readUInt16BE(24) } }
  }
  if (follows < 36) return "version 2: too short for IPv6"
  return { length, client: { address: ipv6Of(bytes.subarray(16, 32)), port: bytes.readUInt16BE(48) } }
}

/** As a socket would write it: the longest run of zero groups is `::`, an IPv4 address in IPv6 keeps its dots. */
const ipv6Of = (bytes: Buffer): string => {
  if (bytes.subarray(0, 10).every((byte) => byte === 0) && bytes.readUInt16BE(10) === 0xffff) {
    return `::ffff:${bytes.subarray(12).join(".")}`
  }
  const groups: Array<number> = []
  for (let at = 0; at < 16; at += 2) groups.push(bytes.readUInt16BE(at))
  let best = { start: -1, length: 1 }
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (start + length < 8 && groups[start + length] === 0) length++
    if (length > best.length) best = { start, length }
  }
  const text = (some: ReadonlyArray<number>) => some.map((group) => group.toString(16)).join(":")
  if (best.start < 0) return text(groups)
  return `${text(groups.slice(0, best.start))}::${text(groups.slice(best.start + best.length))}`
}
