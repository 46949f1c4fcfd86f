// The kinds of values a setting can have: each reads what TOML, YAML, an environment variable or a flag gives (a value
// or its text) and writes what the file would say. Used by SettingsSchema alone. Invariant: a codec's fault says what
// it expected, range included, and what it got; a secret's fault would say only the former.
import { Effect, Predicate, Redacted, Schema, SchemaIssue, SchemaTransformation } from "effect"
import { networkOf } from "./network.ts"
import { formatDuration, formatSize, parseDuration, parseSize } from "./Quantity.ts"
import { isSecret, type Secret, shownSecret, withoutPassword } from "./Secret.ts"

export type SettingCodec<A> = Schema.Codec<A, unknown>

/** How a wrong value is named in a fault: never longer than a line. */
export const describeValue = (value: unknown): string => {
  if (value === null || value === undefined) return "nothing"
  if (value instanceof Date) return "a date"
  if (Predicate.isObject(value) && !Array.isArray(value)) return "a table"
  const text = withoutPassword(
    typeof value === "string" || Array.isArray(value) ? JSON.stringify(value) : String(value)
  )
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

/** `expected` is what a fault says, and what it got, unless that is a secret; `decode` gives undefined for what it does not take. */
export const codec = <A>(
  expected: string,
  is: (value: unknown) => value is A,
  decode: (input: unknown) => A | undefined,
  encode: (value: A) => unknown,
  isHidden = false
): SettingCodec<A> =>
  Schema.Unknown.pipe(Schema.decodeTo(
    Schema.declare(is),
    SchemaTransformation.transformEffect({
      decode: (input: unknown) => {
        const value = decode(input)
        return value === undefined
          ? Effect.fail(
            new SchemaIssue.InvalidValue({
              message: `expected ${expected}, got ${isHidden ? "something else" : describeValue(input)}`
            })
          )
          : Effect.succeed(value)
      },
      encode: (value: A) => Effect.succeed(encode(value))
    })
  ))

const grouped = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ",")
const within = (value: number | undefined, minimum: number, maximum: number): number | undefined =>
  value !== undefined && value >= minimum && value <= maximum ? value : undefined

export const integer = (minimum: number, maximum: number): SettingCodec<number> =>
  codec(
    `a whole number from ${grouped(minimum)} to ${grouped(maximum)}`,
    Predicate.isNumber,
    (input) => {
      const value = typeof input === "string" && /^\s*[+-]?\d[\d_]*\s*$/.test(input)
        ? Number(input.replaceAll("_", ""))
        : input
      return typeof value === "number" && Number.isInteger(value) ? within(value, minimum, maximum) : undefined
    },
    (value) => value
  )

export const decimal = (minimum: number, maximum: number): SettingCodec<number> =>
  codec(
    `a number from ${minimum} to ${maximum}`,
    Predicate.isNumber,
    (input) => {
      const value = typeof input === "string" && /^\s*\d+(?:\.\d+)?\s*$/.test(input) ? Number(input) : input
      return typeof value === "number" ? within(value, minimum, maximum) : undefined
    },
    (value) => value
  )

const TRUTH: ReadonlyMap<unknown, boolean> = new Map<unknown, boolean>([
  [true, true],
  [false, false],
  ["true", true],
  ["false", false]
])

export const truth: SettingCodec<boolean> = codec(
  "true or false",
  Predicate.isBoolean,
  (input) => TRUTH.get(typeof input === "string" ? input.trim().toLowerCase() : input),
  (value) => value
)

export const text = (
  expected: string,
  accepts: (value: string) => boolean
): SettingCodec<string> =>
  codec(
    expected,
    Predicate.isString,
    (input) => typeof input === "string" && accepts(input) ? input : undefined,
    (value) => value
  )

/** One of a few values; numbers may come as their text. */
export const choice = <const A extends string | number>(
  values: ReadonlyArray<A>,
  note = ""
): SettingCodec<A> =>
  codec(
    `${values.map((value) => JSON.stringify(value)).join(", ").replace(/, ([^,]*)$/, " or $1")}${note}`,
    (value): value is A => values.some((one) => one === value),
    (input) => values.find((one) => one === input || String(one) === input),
    (value) => value
  )

export interface DurationRange {
  readonly minimum: string
  readonly maximum: string
  /** Whether "never" (Infinity) is allowed beside the range. */
  readonly never?: true
  /** Whether 0 is allowed although it lies below the minimum. */
  readonly zero?: true
}

export const duration = ({ maximum, minimum, never, zero }: DurationRange): SettingCodec<number> => {
  const lowest = parseDuration(minimum) ?? 0
  const highest = parseDuration(maximum) ?? Infinity
  const range = `${zero ? `"0s", or ` : ""}a duration from "${minimum}" to "${maximum}"${never ? `, or "never"` : ""}`
  return codec(
    `${range} (a bare number is milliseconds)`,
    Predicate.isNumber,
    (input) => {
      const millis = typeof input === "number" && Number.isInteger(input)
        ? input
        : typeof input === "string"
        ? parseDuration(input)
        : undefined
      if (millis === Infinity) return never ? millis : undefined
      return zero && millis === 0 ? 0 : within(millis, lowest, highest)
    },
    formatDuration
  )
}

const sizeText = (bytes: number): string =>
  bytes > 0 && bytes % 1024 === 0 ? `"${formatSize(bytes)}"` : `${grouped(bytes)} bytes`

export const size = (minimum: number, maximum: number): SettingCodec<number> =>
  codec(
    `a size from ${sizeText(minimum)} to ${sizeText(maximum)} (a bare number is bytes)`,
    Predicate.isNumber,
    (input) =>
      within(
        typeof input === "number" && Number.isInteger(input)
          ? input
          : typeof input === "string"
          ? parseSize(input)
          : undefined,
        minimum,
        maximum
      ),
    formatSize
  )

const isTextList = (value: unknown): value is ReadonlyArray<string> =>
  Array.isArray(value) && value.every(Predicate.isString)

/** A list of texts; from the environment and from flags: separated by commas. */
export const textList = (expected: string, accepts: (value: string) => boolean): SettingCodec<ReadonlyArray<string>> =>
  codec(
    `a list of ${expected}`,
    isTextList,
    (input) => {
      const list = typeof input === "string"
        ? input.split(",").map((one) => one.trim()).filter((one) => one !== "")
        : input
      return isTextList(list) && list.every(accepts) ? list : undefined
    },
    (value) => value
  )

/** What fits into an MQTT string. */
const isMqttText = (value: string): boolean => Buffer.byteLength(value) <= 65_535 && !value.includes("\0")
export const isTopicFilter = (value: string): boolean => value !== "" && isMqttText(value)
export const mqttText = text("a text of at most 65,535 bytes", isMqttText)

/** Networks as in 10.0.0.0/8, fd00::/8, or one address. */
export const cidrList = textList(
  "networks, as in 10.0.0.0/8, fd00::/8 or one address",
  (value) => networkOf(value) !== undefined
)

/** A secret whose reader wants it as a text. Shown as little as `secret`. */
export const hiddenText = (expected: string, accepts: (value: string) => boolean): SettingCodec<string> =>
  codec(
    expected,
    Predicate.isString,
    (input) => typeof input === "string" && accepts(input) ? input : undefined,
    (value) => value === "" ? "" : "********",
    true
  )

/**
 * A secret, or `file://PATH` where it stands. Never shown: faults do not quote it, `config dump` and the log write ********, and so does
 * whoever prints the settings. `readSecret` (Secret.ts) opens it.
 */
export const secret: SettingCodec<Secret> = codec(
  "a text or file://PATH",
  isSecret,
  (input) => typeof input === "string" && !input.includes("\0") ? Redacted.make(input) : undefined,
  shownSecret,
  true
)
