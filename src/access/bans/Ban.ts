// What a ban is, and how it stands in the store. Plain data. Invariant: an address has one writing only, so that it can be banned once and
// its ban be found again by it.
import { AddressRange } from "../rules/AddressRange.ts"

export const banKinds = ["client_id", "user_name", "address"] as const
export type BanKind = (typeof banKinds)[number]

export interface Ban {
  readonly kind: BanKind
  /** An address is a network where it has a prefix: "10.0.0.0/8". */
  readonly value: string
  /** For the operator; clients are not told. */
  readonly reason: string
  /** "ctl", "flapping". */
  readonly by: string
  /** ms since 1970. */
  readonly since: number
  /** It ends then, ms since 1970; Infinity: never. */
  readonly until: number
}

/** The key of its record; no two bans have the same. */
export const banKey = ({ kind, value }: Pick<Ban, "kind" | "value">): string => `${kind}:${value}`

/** As it is written in a ban; undefined: it is no value of this kind. */
export const banValue = (kind: BanKind, given: string): string | undefined => {
  if (kind !== "address") return given === "" || given.includes("\0") || given.length > 65_535 ? undefined : given
  const range = AddressRange.parse(given)
  if (range === undefined) return undefined
  const bytes = maskedBytes(range.bytes, range.bits)
  const address = bytes.length === 4 ? bytes.join(".") : ipv6Text(bytes)
  return range.bits === bytes.length * 8 ? address : `${address}/${range.bits}`
}

export const maskedBytes = (bytes: ReadonlyArray<number>, bits: number): ReadonlyArray<number> =>
  bytes.map((byte, at) => byte & (0xff00 >> Math.max(0, Math.min(8, bits - at * 8))) & 0xff)

const ipv6Text = (bytes: ReadonlyArray<number>): string => {
  const groups = Array.from(
    { length: 8 },
    (_, at) => ((bytes[at * 2] ?? 0) << 8 | (bytes[at * 2 + 1] ?? 0)).toString(16)
  )
  const zeros = groups.join(":").match(/(?:^|:)(?:0(?::0)+)(?=$|:)/g)?.toSorted((a, b) => b.length - a.length)[0]
  if (zeros === undefined) return groups.join(":")
  const [before = "", after = ""] = split(groups.join(":"), zeros)
  return `${before}::${after}`
}

const split = (text: string, at: string): readonly [string, string] => {
  const start = text.indexOf(at)
  return [text.slice(0, start), text.slice(start + at.length).replace(/^:/, "")]
}

export const encodeBan = ({ by, kind, reason, since, until, value }: Ban): Uint8Array =>
  Buffer.from(JSON.stringify({ kind, value, reason, by, since, until: until === Infinity ? null : until }))

/** Undefined: this is none. */
export const decodeBan = (bytes: Uint8Array): Ban | undefined => {
  let read: unknown
  try {
    read = JSON.parse(Buffer.from(bytes).toString("utf8"))
  } catch {
    return undefined
  }
  if (typeof read !== "object" || read === null) return undefined
  const { by, kind: given, reason, since, until, value: written } = read as Record<string, unknown>
  const kind = banKinds.find((one) => one === given)
  const value = kind === undefined || typeof written !== "string" ? undefined : banValue(kind, written)
  if (kind === undefined || value === undefined || typeof reason !== "string" || typeof by !== "string") {
    return undefined
  }
  if (typeof since !== "number" || (until !== null && typeof until !== "number")) return undefined
  return { kind, value, reason, by, since, until: until ?? Infinity }
}
