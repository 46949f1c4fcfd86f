// PUBLISHes and PUBRELs of QoS 2 that wait until their state is committed, so that no crash can make a duplicate. Plain state of one
// Outgoing, there while something waits; when the connection goes they are sent by the next one, as exchanges that are under way.
// Invariant: each kind leaves in the order in which it came.
import type { Journal, Waiter } from "../store/Journal.ts"
import type { InflightEntry } from "./InflightWindow.ts"

/** Never pushed to. */
const none: Array<InflightEntry> = []

export class HeldExchanges {
  private readonly journal: Journal
  private readonly owner: Waiter
  private publishes = none
  private releases = none

  /** `owner` is woken when something may go. */
  constructor(journal: Journal, owner: Waiter) {
    this.journal = journal
    this.owner = owner
  }

  get isEmpty(): boolean {
    return this.publishes.length === 0 && this.releases.length === 0
  }

  publish(entry: InflightEntry): void {
    if (this.publishes === none) this.publishes = [entry]
    else this.publishes.push(entry)
    this.journal.wait(this.owner)
  }

  release(entry: InflightEntry): void {
    if (this.releases === none) this.releases = [entry]
    else this.releases.push(entry)
    this.journal.wait(this.owner)
  }

  /** Those whose groups are committed; waits for the others. */
  takeCommitted(): ReadonlyArray<InflightEntry> {
    const releases = this.committedOf(this.releases)
    const publishes = this.committedOf(this.publishes)
    if (!this.isEmpty) this.journal.wait(this.owner)
    return releases.length === 0 ? publishes : releases.concat(publishes)
  }

  private committedOf(entries: Array<InflightEntry>): ReadonlyArray<InflightEntry> {
    const { committed } = this.journal
    let count = 0
    while (count < entries.length && (entries[count]?.group ?? 0) <= committed) count++
    return count === 0 ? none : entries.splice(0, count)
  }
}
