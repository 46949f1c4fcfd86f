// Calls back once a group is committed: for those that wait seldom, and for one thing. While the store takes nothing it goes on waiting.
import type { Journal } from "./Journal.ts"

/** `callback` may be called at once, or in the journal's stack: it only leaves something and wakes somebody. */
export const whenCommitted = (journal: Journal, group: number, callback: () => void): void => {
  if (group <= journal.committed) return callback()
  journal.wait({ wake: () => whenCommitted(journal, group, callback) })
}
