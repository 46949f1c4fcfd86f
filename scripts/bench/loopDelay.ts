// Loaded into a broker before it starts (`--preload`, with LOOP_DELAY_FILE in the environment): how late its event loop is, asked every
// millisecond, and how much of that it was at work itself: on a machine with other work its thread waits for a processor too, which Linux counts.
// When the broker ends, the file gets what the last LOOP_DELAY_SECONDS were like, ms; the ends of connections are not among them.
import * as fs from "node:fs"
import { performance } from "node:perf_hooks"

const file = process.env["LOOP_DELAY_FILE"]
const seconds = Number(process.env["LOOP_DELAY_SECONDS"] ?? 3)
/** Clients are going while the measurement ends. */
const left = 300

/** How long this thread has waited for a processor, ms. */
const waitedBy = (): () => number => {
  if (!fs.existsSync("/proc/self/schedstat")) return () => 0
  const opened = fs.openSync("/proc/self/schedstat", "r")
  const bytes = Buffer.alloc(64)
  return () => {
    const size = fs.readSync(opened, bytes, 0, bytes.length, 0)
    return Number(bytes.toString("latin1", 0, size).split(" ")[1]) / 1e6
  }
}

const quantiles = (name: string, delays: ReadonlyArray<number>): Record<string, number> => {
  const sorted = delays.toSorted((a, b) => a - b)
  const at = (q: number) => Math.max(0, sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0)
  return { [`${name}_p99_ms`]: at(0.99), [`${name}_p99_9_ms`]: at(0.999), [`${name}_max_ms`]: at(1) }
}

if (file !== undefined) {
  const waited = waitedBy()
  const samples: Array<{ readonly time: number; readonly late: number; readonly own: number }> = []
  let before = performance.now()
  let waitedBefore = waited()
  setInterval(() => {
    const now = performance.now()
    const waitedNow = waited()
    const late = now - before - 1
    samples.push({ time: now, late, own: late - (waitedNow - waitedBefore) })
    before = now
    waitedBefore = waitedNow
  }, 1).unref()
  let ended = Infinity
  process.once("SIGTERM", () => (ended = performance.now()))
  process.once("exit", () => {
    const until = Math.min(ended, performance.now()) - left
    const seen = samples.filter(({ time }) => time > until - seconds * 1000 && time < until)
    fs.writeFileSync(
      file,
      JSON.stringify({
        loop_samples: seen.length,
        ...quantiles("loop", seen.map(({ late }) => late)),
        ...quantiles("loop_own", seen.map(({ own }) => own))
      })
    )
  })
}
