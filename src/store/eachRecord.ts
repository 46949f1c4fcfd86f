// All records of one kind, page by page, in the order of their keys. Invariant: only an empty page is the end: a damaged row makes a page shorter.
import { Effect } from "effect"
import type { Engine, RecordRow, StoreFailure } from "./Engine.ts"

const recordsPerPage = 1_000

export const eachRecord = Effect.fnUntraced(function* (
  reader: Pick<Engine, "readRecords">,
  kind: string,
  take: (row: RecordRow) => void
): Effect.fn.Return<void, StoreFailure> {
  for (let after = "";;) {
    const page = yield* reader.readRecords(kind, after, recordsPerPage)
    const last = page.at(-1)
    if (last === undefined) return
    after = last.key
    for (const row of page) take(row)
  }
})
