// Puts copies of what one peer is owed among what another one is owed. Pure. Invariant: the result is in the order of places, each place once.
import { type Entry, isAfter, type Position } from "./Entry.ts"

export interface Merged {
  readonly entries: Array<Entry | undefined>
  /** Whose place is behind the peer, or taken: they need new ones. */
  readonly late: Array<Entry>
}

/** Both in the order of their places. `reached`: the peer takes nothing that is not after it; `epoch`: of the places that are given from now on. */
export const mergeCopies = (
  copies: ReadonlyArray<Entry>,
  among: ReadonlyArray<Entry | undefined>,
  reached: Position,
  epoch: number
): Merged => {
  const entries: Array<Entry | undefined> = []
  const late: Array<Entry> = []
  let at = 0
  for (const copy of copies) {
    let other = among[at]
    while (other !== undefined && isAfter(copy, other)) {
      entries.push(other)
      other = among[++at]
    }
    const before = entries[entries.length - 1] ?? reached
    const isFree = (other === undefined || isAfter(other, copy)) && isAfter(copy, before)
    if (isFree && copy.epoch <= epoch && isAfter(copy, reached)) entries.push(copy)
    else late.push(copy)
  }
  return { entries: [...entries, ...among.slice(at)], late }
}
