// How log lines look: one record a line to stderr, pretty for people, logfmt or JSON for machines. Provided by
// start.ts to everything. Invariant: a line is flat (`ts level msg` and the annotations), whatever the format, and
// never has a second line but for a crash.
import { Cause, Layer, Logger, type LogLevel, Predicate, References } from "effect"
import { noColour } from "../config/environment.ts"
import type { LogFormat, LogLevel as LevelSetting, LogSettings } from "../config/Settings.ts"

type Field = readonly [name: string, value: unknown]

interface LogRecord {
  readonly at: string
  readonly level: string
  readonly message: string
  readonly fields: ReadonlyArray<Field>
}

const levels: { readonly [Level in LevelSetting]: LogLevel.LogLevel } = {
  trace: "Trace",
  debug: "Debug",
  info: "Info",
  warning: "Warn",
  error: "Error"
}

/** Objects among the logged values become fields, the rest is the message. */
const recordOf = ({ cause, date, fiber, logLevel, message }: Logger.Options<unknown>): LogRecord => {
  const fields: Array<Field> = Object.entries(fiber.getRef(References.CurrentLogAnnotations))
  const words: Array<string> = []
  for (const part of Array.isArray(message) ? message : [message]) {
    if (Predicate.isObject(part) && !(part instanceof Error)) fields.push(...Object.entries(part))
    else words.push(part instanceof Error ? part.message : String(part))
  }
  if (cause.reasons.length > 0) fields.push(["error", Cause.pretty(cause)])
  const level = logLevel === "Warn" ? "warning" : logLevel.toLowerCase()
  return { at: date.toISOString(), level, message: words.join(" "), fields }
}

const textOf = (value: unknown): string =>
  typeof value === "string" ? value : typeof value === "object" ? JSON.stringify(value) : String(value)

/** Control characters as escapes: what a client chose must neither begin a line nor steer a terminal. */
const escaped = (text: string): string =>
  text.replace(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`)
const inQuotes = (text: string): string => escaped(JSON.stringify(text))
const quoted = (text: string): string => /^[^\s"=\p{Cc}]+$/u.test(text) ? text : inQuotes(text)

export const formatLogfmt = ({ at, fields, level, message }: LogRecord): string =>
  `ts=${at} level=${level} msg=${inQuotes(message)}` +
  fields.map(([name, value]) => ` ${name}=${quoted(textOf(value))}`).join("")

export const formatJson = ({ at, fields, level, message }: LogRecord): string =>
  escaped(JSON.stringify(
    { ts: at, level, msg: message, ...Object.fromEntries(fields) },
    (_, value) => typeof value === "bigint" ? String(value) : value
  ))

const colours: ReadonlyMap<string, string> = new Map([["warning", "33"], ["error", "31"], ["fatal", "31"], [
  "debug",
  "2"
], ["trace", "2"]])

export const formatPretty = ({ at, fields, level, message }: LogRecord, inColour: boolean): string => {
  const paint = (code: string | undefined, text: string) =>
    inColour && code !== undefined ? `\u001b[${code}m${text}\u001b[0m` : text
  const line = [
    paint("2", at.slice(11, 23)),
    paint(colours.get(level), level.padEnd(7)),
    escaped(message),
    ...fields.filter(([name]) => name !== "error").map(([name, value]) =>
      paint("2", `${name}=${quoted(textOf(value))}`)
    )
  ]
  const crash = fields.find(([name]) => name === "error")
  return line.join(" ") + (crash === undefined ? "" : `\n${textOf(crash[1])}`)
}

const formatter = (format: LogFormat): (record: LogRecord) => string => {
  const isTerminal = process.stderr.isTTY === true
  switch (format) {
    case "json":
      return formatJson
    case "logfmt":
      return formatLogfmt
    case "auto":
      if (!isTerminal) return formatLogfmt
  }
  const inColour = isTerminal && !noColour()
  return (record) => formatPretty(record, inColour)
}

/** Replaces Effect's own logger. Standard output stays free for what a command prints. */
export const layerLogging = ({ format, level }: LogSettings): Layer.Layer<never> => {
  const write = formatter(format)
  return Layer.mergeAll(
    Logger.layer([Logger.make((options) => console.error(write(recordOf(options))))]),
    Layer.succeed(References.MinimumLogLevel, levels[level])
  )
}
