/**
 * Deadlines by the hundred thousand (keep alive, connect timeouts, expiries, will delays) without a timer of the runtime for each.
 * Pure: whoever owns it calls `advance` now and then. Invariant: a timer fires once, in the first advance whose time has reached its
 * deadline rounded up to a whole tick: never early, and late by less than a tick plus the time between two advances.
 */

const nowhere = -1

/** A deadline in a wheel: the handle to move or cancel it. Linked into its slot both ways, so that leaving costs nothing. */
export class Timer<T> {
  readonly item: T
  /** When it is due, in ticks since the epoch. */
  tick: number
  /** Where it is linked; a timer that was put off may be linked in a slot before its own. */
  slot: number = nowhere
  previous: Timer<T> | undefined = undefined
  next: Timer<T> | undefined = undefined

  constructor(item: T, tick: number) {
    this.item = item
    this.tick = tick
  }

  /** Neither cancelled nor fired. */
  get active(): boolean {
    return this.slot !== nowhere
  }
}

export class TimerWheel<T> {
  private readonly tickMillis: number
  private readonly slots: number
  /** One list for each slot, and last the list of those `advance` has just come by. */
  private readonly heads: Array<Timer<T> | undefined>
  private current: number
  private count = 0

  constructor(tickMillis: number, slots: number, now: number) {
    this.tickMillis = tickMillis
    this.slots = slots
    this.heads = new Array<Timer<T> | undefined>(slots + 1).fill(undefined)
    this.current = Math.floor(now / tickMillis)
  }

  /** Timers that are neither cancelled nor fired. */
  get size(): number {
    return this.count
  }

  /** A deadline that has passed fires in the next tick. O(1). */
  schedule(deadlineMillis: number, item: T): Timer<T> {
    const timer = new Timer(item, this.tickOf(deadlineMillis))
    this.count++
    this.link(timer, timer.tick % this.slots)
    return timer
  }

  /** O(1); does nothing to a timer that has fired. */
  cancel(timer: Timer<T>): void {
    if (timer.slot === nowhere) return
    this.unlink(timer)
    this.count--
  }

  /**
   * Moves the deadline; a timer that has fired or was cancelled counts again. Putting it off, as every packet does to a keep alive, is
   * one store: the timer changes its slot when the wheel comes by the old one.
   */
  reschedule(timer: Timer<T>, deadlineMillis: number): void {
    const tick = this.tickOf(deadlineMillis)
    if (timer.slot === nowhere) {
      this.count++
    } else if (tick >= timer.tick) {
      timer.tick = tick
      return
    } else {
      this.unlink(timer)
    }
    timer.tick = tick
    this.link(timer, tick % this.slots)
  }

  /**
   * Fires what is due, tick by tick; within a tick, and after a pause of more than a revolution, in any order. The callback may
   * schedule, move and cancel; what it throws reaches the caller, and the next advance goes on behind it. A time before the last
   * advance fires nothing.
   */
  advance(now: number, onDue: (item: T) => void): void {
    const target = Math.floor(now / this.tickMillis)
    this.fireVisited(onDue)
    // After a long pause one revolution visits every slot.
    if (target - this.current > this.slots) this.current = target - this.slots
    while (this.current < target) {
      this.current++
      this.visit(this.current % this.slots)
      this.fireVisited(onDue)
    }
  }

  /** The callbacks may cancel or move any timer, so the slot is emptied into a list of its own first. */
  private visit(slot: number): void {
    const first = this.heads[slot]
    this.heads[slot] = undefined
    this.heads[this.slots] = first
    for (let timer = first; timer !== undefined; timer = timer.next) timer.slot = this.slots
  }

  private fireVisited(onDue: (item: T) => void): void {
    for (let timer = this.heads[this.slots]; timer !== undefined; timer = this.heads[this.slots]) {
      this.unlink(timer)
      if (timer.tick > this.current) {
        this.link(timer, timer.tick % this.slots)
      } else {
        this.count--
        onDue(timer.item)
      }
    }
  }

  private tickOf(deadlineMillis: number): number {
    const tick = Math.min(Math.ceil(deadlineMillis / this.tickMillis), Number.MAX_SAFE_INTEGER)
    return tick > this.current ? tick : this.current + 1
  }

  private link(timer: Timer<T>, slot: number): void {
    const first = this.heads[slot]
    timer.slot = slot
    timer.next = first
    if (first !== undefined) first.previous = timer
    this.heads[slot] = timer
  }

  private unlink(timer: Timer<T>): void {
    const { next, previous, slot } = timer
    if (previous === undefined) this.heads[slot] = next
    else previous.next = next
    if (next !== undefined) next.previous = previous
    timer.slot = nowhere
    timer.next = undefined
    timer.previous = undefined
  }
}
