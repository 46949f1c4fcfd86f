// News about members that is still to be passed on, each so often that it reaches all of them. Pure. Invariant: of one member there is at
// most one piece of news, the latest; what was passed on least goes first.
import type { MemberEntry } from "./MemberTable.ts"

interface News {
  readonly entry: MemberEntry
  sent: number
}

/** So often times the decimal logarithm of the cluster's size. */
const repeats = 4

export class GossipQueue {
  private readonly byName = new Map<string, News>()

  get size(): number {
    return this.byName.size
  }

  add(entry: MemberEntry): void {
    this.byName.set(entry.name, { entry, sent: 0 })
  }

  forget(name: string): void {
    this.byName.delete(name)
  }

  /** At most `limit` pieces for one frame; each counts as passed on once. `members`: how many the cluster has. */
  take(limit: number, members: number): ReadonlyArray<MemberEntry> {
    if (this.byName.size === 0) return []
    const enough = repeats * Math.ceil(Math.log10(members + 1))
    const chosen = this.byName.size <= limit
      ? [...this.byName.values()]
      : [...this.byName.values()].sort((one, other) => one.sent - other.sent).slice(0, limit)
    for (const news of chosen) {
      if (++news.sent >= enough) this.byName.delete(news.entry.name)
    }
    return chosen.map(({ entry }) => entry)
  }
}
