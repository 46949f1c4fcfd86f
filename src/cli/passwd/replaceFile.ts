// Puts a new file of secrets in the place of an old one, in one step. Invariants: a reader finds the old file or the new one, whole; the new one
// is the old one's owner's and readable by no other; two at once do not lose one another's change.
import { Data, Effect } from "effect"
import { chown, open, realpath, rename, rm, stat } from "node:fs/promises"

export class FileNotReplaced extends Data.TaggedError("FileNotReplaced")<{ readonly message: string }> {}

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : String(error)

const notReplaced = (file: string) => (error: unknown): FileNotReplaced => {
  const code = codeOf(error)
  return new FileNotReplaced({
    message: code === "EEXIST"
      ? `${file}.new is there: another passwd runs, or was interrupted; remove it`
      : `${file}: cannot be written (${code})`
  })
}

const attempt = <A>(file: string, run: () => Promise<A>): Effect.Effect<A, FileNotReplaced> =>
  Effect.tryPromise({ try: run, catch: notReplaced(file) })

export const replaceFile = Effect.fnUntraced(function* (named: string, text: string) {
  // Where a link points to: it stays a link.
  const file = yield* Effect.orElseSucceed(attempt(named, () => realpath(named)), () => named)
  const former = yield* Effect.orElseSucceed(attempt(file, () => stat(file)), () => undefined)
  const fresh = `${file}.new`
  const handle = yield* attempt(file, () => open(fresh, "wx", 0o600))
  yield* attempt(file, async () => {
    await handle.writeFile(text)
    await handle.sync()
  }).pipe(
    Effect.ensuring(Effect.promise(() => handle.close())),
    Effect.andThen(
      former === undefined
        ? Effect.void
        // Only root may give it to somebody else; for others it is their own already.
        : Effect.ignore(attempt(file, () => chown(fresh, former.uid, former.gid)))
    ),
    Effect.andThen(attempt(file, () => rename(fresh, file))),
    Effect.onError(() => Effect.promise(() => rm(fresh, { force: true })))
  )
})
