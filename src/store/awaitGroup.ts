// Waiting for a group of changes from the control plane: a command of an administrator answers when what it changed is on disk.
import { Effect } from "effect"
import type { StoreFailure } from "./Engine.ts"
import type { Journal, Waiter } from "./Journal.ts"

/** Fails where the store takes no changes at present: the group stays and is tried again all the same. */
export const awaitGroup = (journal: Journal, group: number): Effect.Effect<void, StoreFailure> =>
  Effect.callback<void, StoreFailure>((resume) => {
    const waiter: Waiter = { wake: () => look() }
    const look = (): void => {
      if (journal.committed >= group) return resume(Effect.void)
      if (journal.failing !== null) return resume(Effect.fail(journal.failing))
      journal.wait(waiter)
    }
    look()
  })
