// What workers of an earlier start have kept in directories of their own, where fewer are started now, or none. Invariant: it is never lost
// without a line in the log.
import { Effect } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { workerDirectory } from "../../config/workerSettings.ts"

/** What workers of a higher number have kept is not read while there are fewer. */
export const warnOfLeftBehind = (dataDir: string, workers: number) =>
  Effect.suspend(() => {
    const left = fs.readdirSync(dataDir).filter((name) => Number(/^worker-(\d+)$/.exec(name)?.[1] ?? 0) > workers)
    if (left.length === 0) return Effect.void
    return Effect.logWarning(
      "there were more workers: what theirs have kept stays unread; start as many, or move it with emqttd store export and import",
      { directories: left.map((name) => path.join(dataDir, name)).join(", "), to: workerDirectory(dataDir, 1) }
    )
  })
