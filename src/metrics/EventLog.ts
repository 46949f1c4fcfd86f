// The log as plain code sees it: one line per event, with fields, rate limited per kind of event so that a stranger
// cannot fill a disk. The app gives the sink (Effect's logger); nothing here waits. Invariant: no field is longer than `longestField` and a few
// words, so that what a client calls itself makes no line that a journal would cut in two.

export type LogLevel = "debug" | "info" | "warning" | "error"
/** Flat, snake_case, without payloads and passwords. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>
/** Made only when the line is written, where making them costs something. */
export type LazyFields = LogFields | (() => LogFields)
export type LogSink = (level: LogLevel, message: string, fields: LogFields) => void

/** Lines of one message text in a window, beyond which they are only counted. */
const linesPerWindow = 10
const maximumKinds = 1_000

/** Characters of a field; what stands behind them is counted. */
export const longestField = 1_000

const levels: ReadonlyArray<LogLevel | "trace"> = ["trace", "debug", "info", "warning", "error"]
const made = (fields: LazyFields): LogFields => {
  const all = typeof fields === "function" ? fields() : fields
  const isLong = (value: LogFields[string]) => typeof value === "string" && value.length > longestField
  return Object.values(all).some(isLong)
    ? Object.fromEntries(Object.entries(all).map(([name, value]) => [name, shortened(value)]))
    : all
}

const shortened = (value: LogFields[string]): LogFields[string] =>
  typeof value !== "string" || value.length <= longestField
    ? value
    : `${value.slice(0, longestField)}… (${value.length} characters)`

export class EventLog {
  private readonly sink: LogSink
  private readonly clock: () => number
  private readonly windowMillis: number
  private readonly lowest: number
  private readonly kinds = new Map<string, { since: number; lines: number; suppressed: number }>()

  /** `windowMillis`: in which a message text is written ten times at most. What is below `level` costs nothing. */
  constructor(sink: LogSink, clock: () => number, windowMillis: number, level: LogLevel | "trace" = "trace") {
    this.sink = sink
    this.clock = clock
    this.windowMillis = windowMillis
    this.lowest = levels.indexOf(level)
  }

  debug(message: string, fields: LazyFields): void {
    if (this.writes("debug")) this.sink("debug", message, made(fields))
  }

  info(message: string, fields: LazyFields): void {
    this.limited("info", message, fields)
  }

  warning(message: string, fields: LazyFields): void {
    this.limited("warning", message, fields)
  }

  /** Never suppressed: an error is a fault of ours. */
  error(message: string, fields: LogFields): void {
    this.sink("error", message, made(fields))
  }

  private writes(level: LogLevel): boolean {
    return levels.indexOf(level) >= this.lowest
  }

  private limited(level: LogLevel, message: string, fields: LazyFields): void {
    if (!this.writes(level)) return
    const now = this.clock()
    let kind = this.kinds.get(message)
    if (kind === undefined) {
      if (this.kinds.size >= maximumKinds) this.kinds.clear()
      kind = { since: now, lines: 0, suppressed: 0 }
      this.kinds.set(message, kind)
    }
    if (now - kind.since >= this.windowMillis) {
      const suppressed = kind.suppressed
      kind.since = now
      kind.lines = 0
      kind.suppressed = 0
      if (suppressed > 0) this.sink(level, message, { ...made(fields), suppressed_before: suppressed })
      else this.sink(level, message, made(fields))
      kind.lines++
      return
    }
    if (kind.lines >= linesPerWindow) {
      kind.suppressed++
      return
    }
    kind.lines++
    this.sink(level, message, made(fields))
  }
}
