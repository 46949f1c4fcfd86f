/**
 * The signals that a server answers to. Plain: the app turns them into a shutdown or a reload. Listening to one takes the runtime's own
 * answer to it away, which is to exit.
 */
export type Signal = "SIGTERM" | "SIGINT" | "SIGHUP"

/** Calls `listener` for each such signal until the returned function is called. */
export const onSignals = (signals: ReadonlyArray<Signal>, listener: (signal: Signal) => void): () => void => {
  const entries = signals.map((signal) => [signal, () => listener(signal)] as const)
  for (const [signal, handler] of entries) process.on(signal, handler)
  return () => {
    for (const [signal, handler] of entries) process.off(signal, handler)
  }
}
