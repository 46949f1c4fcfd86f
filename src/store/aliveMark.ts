// A file beside the data whose time says that the broker lived when its store took nothing: after a crash a start counts no session as cut off earlier
// than that. Its time can be set on a full disk too; where it cannot be, the last commit is all that is known.
// Invariant: it is written only while the store fails, and nothing fails for it.
import { Clock, Effect } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { beatMillis, type Journal } from "./Journal.ts"

const fileIn = (dataDirectory: string): string => path.join(dataDirectory, "store.alive")

/** Made empty where there is none, while there is room. ms since 1970; 0: nothing is known. */
export const aliveAt = (dataDirectory: string): Effect.Effect<number> =>
  Effect.tryPromise(async () => {
    const file = fileIn(dataDirectory)
    const found = await fs.stat(file).catch(() => undefined)
    if (found !== undefined) return found.mtimeMs
    await fs.writeFile(file, "", { mode: 0o600 })
    await fs.utimes(file, 0, 0)
    return 0
  }).pipe(Effect.orElseSucceed(() => 0))

/** Ends never. */
export const markingAlive = (dataDirectory: string, journal: Journal): Effect.Effect<never> => {
  const mark = Effect.flatMap(
    Clock.currentTimeMillis,
    (now) => Effect.ignore(Effect.tryPromise(() => fs.utimes(fileIn(dataDirectory), now / 1000, now / 1000)))
  )
  const failing = Effect.suspend(() =>
    journal.failing === null ? Effect.sleep(100) : Effect.andThen(mark, Effect.sleep(beatMillis))
  )
  return Effect.forever(failing)
}
