// An IP address or a range of them in CIDR notation. Pure. Invariant: an IPv4 address is the same whether it comes as such or
// mapped into IPv6 (`::ffff:10.0.0.1`), as a socket that listens on both gives it.
import { isIPv4, isIPv6 } from "node:net"

export class AddressRange {
  /** 4 or 16 of them, those behind the prefix as they were written. */
  readonly bytes: ReadonlyArray<number>
  /** Length of the prefix. */
  readonly bits: number

  private constructor(bytes: ReadonlyArray<number>, bits: number) {
    this.bytes = bytes
    this.bits = bits
  }

  /** "127.0.0.1", "10.0.0.0/8", "fd00::/8"; bits behind the prefix count for nothing. Undefined: none of these. */
  static parse(text: string): AddressRange | undefined {
    const slash = text.indexOf("/")
    const address = slash === -1 ? text : text.slice(0, slash)
    const raw = rawBytes(address)
    if (raw === undefined) return undefined
    const length = slash === -1 ? raw.length * 8 : prefixLength(text.slice(slash + 1))
    if (length === undefined || length > raw.length * 8) return undefined
    return isMapped(raw) && length >= 96 ? new AddressRange(raw.slice(12), length - 96) : new AddressRange(raw, length)
  }

  contains(address: string): boolean {
    const bytes = addressBytes(address)
    if (bytes === undefined) return false
    if (bytes.length !== this.bytes.length) return false
    for (let bit = 0, i = 0; bit < this.bits; bit += 8, i++) {
      const mask = this.bits - bit >= 8 ? 0xff : 0xff << (8 - (this.bits - bit)) & 0xff
      if (((bytes[i] ?? 0) & mask) !== ((this.bytes[i] ?? 0) & mask)) return false
    }
    return true
  }
}

/** 4 or 16 bytes, 4 where IPv4 is mapped into IPv6; undefined: no IP address. */
export const addressBytes = (address: string): ReadonlyArray<number> | undefined => {
  const raw = rawBytes(address)
  return raw !== undefined && isMapped(raw) ? raw.slice(12) : raw
}

const prefixLength = (text: string): number | undefined => /^\d{1,3}$/.test(text) ? Number(text) : undefined

const isMapped = (bytes: ReadonlyArray<number>): boolean =>
  bytes.length === 16 && bytes[10] === 0xff && bytes[11] === 0xff && bytes.slice(0, 10).every((byte) => byte === 0)

/** 4 or 16 bytes; undefined: no IP address. */
const rawBytes = (text: string): ReadonlyArray<number> | undefined => {
  if (isIPv4(text)) return text.split(".").map(Number)
  const address = text.split("%")[0] ?? "" // without the interface of a link-local address
  if (!isIPv6(address)) return undefined
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  const plain = dotted === null
    ? address
    : `${dotted[1]}${hexPair(dotted[2], dotted[3])}:${hexPair(dotted[4], dotted[5])}`
  const [head = "", tail] = plain.split("::")
  const front = groups(head)
  const back = tail === undefined ? [] : groups(tail)
  const middle = tail === undefined ? [] : new Array<number>(8 - front.length - back.length).fill(0)
  return [...front, ...middle, ...back].flatMap((group) => [group >> 8, group & 0xff])
}

const hexPair = (high: string | undefined, low: string | undefined): string =>
  (Number(high) << 8 | Number(low)).toString(16)
const groups = (text: string): ReadonlyArray<number> =>
  text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16))
