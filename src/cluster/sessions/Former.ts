// Client ids in this member's table that another member looks after since the members changed: they stay for a while, for claims of nodes that do not know
// yet, then they are dropped. Plain state in the cluster's turns, a slice at a time. Invariant: none is dropped while a move of it is under way.
import type { DirectoryTable } from "./DirectoryTable.ts"

/** For claims of those who do not know yet, ms. */
const keptMillis = 2_000
/** Hashes of a client id with a member's name in one slice: some milliseconds. */
const hashedPerSlice = 20_000

export interface FormerOptions {
  readonly table: DirectoryTable
  /** ms since 1970. */
  readonly now: () => number
  /** This node looks after it. */
  readonly isOurs: (clientId: string) => boolean
  readonly memberCount: () => number
}

export class Former {
  private readonly options: FormerOptions
  /** From `until` on they may go. */
  private marked = new Set<string>()
  private until = 0
  private going: Iterator<string> | null = null
  /** Client ids of the table that are still to be looked at since the members changed. */
  private toLook: Iterator<string> | null = null

  constructor(options: FormerOptions) {
    this.options = options
  }

  /** The members have changed: all of the table is looked at. */
  lookAtAll(): void {
    this.toLook = this.options.table.clientIds()
  }

  /** It has been put into the table by somebody who may see other members than this node. */
  look(clientId: string): void {
    const { isOurs, now } = this.options
    if (isOurs(clientId)) return
    if (this.marked.size === 0) this.until = now() + keptMillis
    this.marked.add(clientId)
  }

  /** A slice of what is to be done. True: there is more, and it need not wait. */
  some(): boolean {
    const { isOurs, memberCount, now, table } = this.options
    const count = Math.ceil(hashedPerSlice / memberCount())
    for (let seen = 0; this.toLook !== null && seen < count; seen++) {
      const { done, value } = this.toLook.next()
      if (done === true) this.toLook = null
      else this.look(value)
    }
    if (this.toLook !== null) return true
    if (this.going === null && this.marked.size > 0 && now() >= this.until) {
      this.going = this.marked.values()
      this.marked = new Set()
    }
    for (let seen = 0; this.going !== null && seen < count; seen++) {
      const { done, value } = this.going.next()
      if (done === true) this.going = null
      else if (!isOurs(value)) {
        table.drop(value)
        if (table.holder(value) !== undefined) this.look(value)
      }
    }
    return this.going !== null
  }
}
