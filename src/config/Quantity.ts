// Durations and sizes as people write them ("1m30s", "64KiB", "never") and as the broker counts them (milliseconds,
// bytes). Pure. Invariant: what `formatDuration` and `formatSize` write, `parseDuration` and `parseSize` read back to
// the same number.

const MILLIS: ReadonlyMap<string, number> = new Map(
  ([
    [["ms", "millisecond", "milliseconds", "millis"], 1],
    [["s", "sec", "second", "seconds"], 1_000],
    [["m", "min", "minute", "minutes"], 60_000],
    [["h", "hour", "hours"], 3_600_000],
    [["d", "day", "days"], 86_400_000],
    [["w", "week", "weeks"], 604_800_000]
  ] as const).flatMap(([names, millis]) => names.map((name) => [name, millis] as const))
)

const BYTES: ReadonlyMap<string, number> = new Map([
  ["b", 1],
  ["kb", 1e3],
  ["mb", 1e6],
  ["gb", 1e9],
  ["tb", 1e12],
  ["kib", 2 ** 10],
  ["mib", 2 ** 20],
  ["gib", 2 ** 30],
  ["tib", 2 ** 40]
])

/**
 * Milliseconds of "10s", "1m30s", "1.5 hours", "never" (Infinity) or a bare number of milliseconds; undefined when it
 * is none of them.
 */
export const parseDuration = (text: string): number | undefined => {
  const trimmed = text.trim().toLowerCase()
  if (trimmed === "never") return Infinity
  if (/^\d+$/.test(trimmed)) return Number(trimmed)
  if (!/^(?:\d+(?:\.\d+)?\s*[a-z]+\s*)+$/.test(trimmed)) return undefined
  let millis = 0
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)\s*([a-z]+)/g)) {
    const factor = MILLIS.get(unit ?? "")
    if (factor === undefined) return undefined
    millis += Number(amount) * factor
  }
  return Math.round(millis)
}

/** The shortest exact writing: 90_000 is "1m30s", 0 is "0s", Infinity is "never". */
export const formatDuration = (millis: number): string => {
  if (millis === Infinity) return "never"
  if (millis === 0) return "0s"
  let rest = millis
  let text = ""
  for (const [unit, factor] of [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1_000], ["ms", 1]] as const) {
    const amount = Math.floor(rest / factor)
    if (amount > 0) text += `${amount}${unit}`
    rest -= amount * factor
  }
  return text
}

/**
 * Bytes of "1MiB", "64 KiB", "1.5GB" or a bare number; undefined when it is no whole number of bytes. KiB is 1,024, kB
 * is 1,000.
 */
export const parseSize = (text: string): number | undefined => {
  const found = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  if (found === null) return undefined
  const factor = BYTES.get((found[2] ?? "").toLowerCase() || "b")
  const bytes = factor === undefined ? NaN : Number(found[1]) * factor
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** 1_048_576 is "1MiB"; what is no whole number of KiB stays a plain number of bytes. */
export const formatSize = (bytes: number): string => {
  for (const [unit, factor] of [["TiB", 2 ** 40], ["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]] as const) {
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`
  }
  return `${bytes}B`
}
