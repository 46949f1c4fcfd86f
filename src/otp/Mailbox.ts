/**
 * A bounded queue with one reader: many offer, its owner takes everything there is at once. Two arrays change places at each batch,
 * so a batch allocates nothing. Invariant: never more than `capacity` messages wait, and what has been released is not kept alive.
 */

/** An array that a burst has made longer than this is given back: it must not cost an idle connection memory for ever. */
const keptLength = 64

const none: ReadonlyArray<never> = []

export class Mailbox<M> {
  readonly capacity: number
  /** Offers refused because the mailbox was full. */
  rejected = 0

  // Made by the first message: most mailboxes of a broker with many idle connections have never had one.
  private waiting: Array<M> | undefined
  private spare: Array<M> | undefined

  constructor(capacity: number) {
    this.capacity = capacity
  }

  get size(): number {
    return this.waiting === undefined ? 0 : this.waiting.length
  }

  get isFull(): boolean {
    return this.waiting !== undefined && this.waiting.length >= this.capacity
  }

  /** False: the mailbox is full and the message is not in it. */
  offer(message: M): boolean {
    const waiting = this.waiting
    if (waiting === undefined) {
      if (this.capacity < 1) {
        this.rejected++
        return false
      }
      this.waiting = [message]
      return true
    }
    if (waiting.length >= this.capacity) {
      this.rejected++
      return false
    }
    waiting.push(message)
    return true
  }

  /** Everything there is, oldest first. The array is good until `release` or the next takeAll; offers meanwhile go to another. */
  takeAll(): ReadonlyArray<M> {
    const batch = this.waiting
    if (batch === undefined || batch.length === 0) return none
    this.release()
    this.waiting = this.spare
    this.spare = batch
    return batch
  }

  /** The batch has been dealt with: an idle mailbox must not keep the last messages (and the chunks they point into) alive. */
  release(): void {
    const spare = this.spare
    if (spare === undefined || spare.length === 0) return
    if (spare.length > keptLength) this.spare = undefined
    else spare.length = 0
  }

  /** Puts the rest of a batch back, before what has come since; capacity does not count here, for these were in already. */
  putBack(batch: ReadonlyArray<M>, from: number): void {
    const rest = batch.slice(from)
    if (rest.length === 0) return
    this.waiting = this.waiting === undefined ? rest : rest.concat(this.waiting)
  }

  /** What waits, oldest first, left where it is. */
  peekAll(): ReadonlyArray<M> {
    return this.waiting ?? none
  }

  clear(): void {
    this.waiting = undefined
    this.spare = undefined
  }
}
