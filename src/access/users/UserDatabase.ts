// The users that the node keeps itself: all of them in memory, each a record in the store. Read at the start, changed while it runs by the
// management API. Invariant: what is asked of it is what was last said, also before the store has it; the group that a change names says when it is on disk.
import type { Journal } from "../../store/Journal.ts"
import { storedUser, type User, userKind, userOf } from "./User.ts"

/** The group of the journal that has the change. */
export interface Changed {
  readonly group: number
}

export class UserDatabase {
  /** Called after each change, wherever it came from: what was decided by the users of before is not to be relied on. */
  onChange: () => void = () => {}
  private readonly journal: Journal
  private readonly maximum: () => number
  private readonly users = new Map<string, User>()
  /** Names in their order; made when they are asked for, after a change anew. */
  private names: ReadonlyArray<string> | undefined

  /** `maximum`: so many users, by the settings of now. */
  constructor(journal: Journal, maximum: () => number) {
    this.journal = journal
    this.maximum = maximum
  }

  /** From the store: nothing is written. */
  load(user: User): void {
    this.users.set(user.name, user)
    this.names = undefined
  }

  get size(): number {
    return this.users.size
  }

  /** Another one is too many. */
  get isFull(): boolean {
    return this.users.size >= this.maximum()
  }

  find(name: string): User | undefined {
    return this.users.get(name)
  }

  /** By name, above `after` ("" first). */
  page(after: string, limit: number): ReadonlyArray<User> {
    const names = this.names ??= [...this.users.keys()].sort()
    const first = names.findIndex((name) => name > after)
    return first < 0 ? [] : names.slice(first, first + limit).flatMap((name) => this.users.get(name) ?? [])
  }

  put(user: User): Changed {
    if (!this.users.has(user.name)) this.names = undefined
    this.users.set(user.name, user)
    this.onChange()
    return { group: this.journal.putRecord(userKind, user.name, storedUser(user)) }
  }

  /** Undefined: there is none of that name. */
  remove(name: string): Changed | undefined {
    if (!this.users.delete(name)) return undefined
    this.names = undefined
    this.onChange()
    return { group: this.journal.deleteRecord(userKind, name) }
  }

  /** As another node has it; null: removed there. False: it is none, or one too many. */
  take(name: string, value: Uint8Array | null): boolean {
    if (value === null) {
      this.remove(name)
      return true
    }
    const user = userOf(name, value)
    if (user === undefined || (this.isFull && !this.users.has(name))) return false
    this.put(user)
    return true
  }
}
