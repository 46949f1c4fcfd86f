// The bridge from the plain code's log to Effect's loggers, with the context of whoever starts the broker.
import { Effect } from "effect"
import type { LogSink } from "../metrics/EventLog.ts"

const writers = {
  debug: Effect.logDebug,
  info: Effect.logInfo,
  warning: Effect.logWarning,
  error: Effect.logError
} as const

export const logSink: Effect.Effect<LogSink> = Effect.map(Effect.context<never>(), (context): LogSink => {
  const fork = Effect.runForkWith(context)
  return (level, message, fields) => {
    const known = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
    fork(Effect.annotateLogs(writers[level](message), known))
  }
})
