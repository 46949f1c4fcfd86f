/**
 * The run queue of one broker: what the woken actors of a process are run by. Actors queue themselves here, I/O callbacks only ever
 * push and queue. A turn is one setImmediate: the tasks first in, first out, then the flushes (one write per socket), then the event
 * loop has its say. Invariant: a task never runs inside the stack of whoever queued it, and no turn keeps the loop from its I/O for
 * longer than `turnMillis` plus one task.
 */
import { clearImmediate, setImmediate } from "node:timers"

export interface Task {
  /** Plain code that never throws; what throws all the same goes to `onDefect` and costs the others nothing. */
  run(): void
}

export interface SchedulerOptions {
  /** Milliseconds since the epoch; the system's clock by default. */
  readonly clock?: () => number
  /** A turn that has lasted so long leaves the rest of its tasks to the next one. */
  readonly turnMillis?: number
  /** So many times may the tasks of one turn queue each other before the rest is left to the next one. */
  readonly turnGenerations?: number
  readonly onDefect?: (defect: unknown, task: Task) => void
}

/** Within a generation the clock is read once for so many tasks: a read costs about as much as a wake-up. */
const tasksPerClockRead = 16

const rethrowLater = (defect: unknown) => {
  setImmediate(() => {
    throw defect
  })
}

export class Scheduler {
  /** Coarse milliseconds: fresh at the start of a turn, every few tasks within it, and whenever an idle scheduler is given work. */
  now: number
  /** Turns run so far, tasks run so far: for statistics. */
  turns = 0
  tasks = 0

  private readonly clock: () => number
  private readonly turnMillis: number
  private readonly turnGenerations: number
  private readonly onDefect: (defect: unknown, task: Task) => void

  // Two arrays change places once a generation, so nothing is shifted and nothing is allocated in the steady state.
  private running: Array<Task> = []
  private cursor = 0
  private queued: Array<Task> = []
  private urgent: Array<Task> = []
  private urgentCursor = 0
  private flushing: Array<Task> = []
  private flushCursor = 0
  private flushes: Array<Task> = []

  private current: Task | undefined
  private scheduled: ReturnType<typeof setImmediate> | undefined
  private inTurn = false
  private closed = false

  constructor(options: SchedulerOptions | (() => number) = {}) {
    const settings = typeof options === "function" ? { clock: options } : options
    this.clock = settings.clock ?? Date.now
    this.turnMillis = settings.turnMillis ?? 10
    this.turnGenerations = settings.turnGenerations ?? 64
    this.onDefect = settings.onDefect ?? rethrowLater
    this.now = this.clock()
  }

  /** Later in this turn, or in the next; never inside the caller's stack. Whoever queues a task keeps the flag that it is queued. */
  enqueue(task: Task): void {
    this.queued.push(task)
    if (this.scheduled === undefined && !this.inTurn) this.schedule()
  }

  /** Before the other queued tasks: for the owner of a mailbox that has just become full. */
  enqueueNext(task: Task): void {
    this.urgent.push(task)
    if (this.scheduled === undefined && !this.inTurn) this.schedule()
  }

  /** Once the tasks of this turn are through; out of a flush: at the end of the next turn. */
  enqueueFlush(task: Task): void {
    this.flushes.push(task)
    if (this.scheduled === undefined && !this.inTurn) this.schedule()
  }

  /** Reads the clock. For whoever needs `now` outside a turn, and for the tick of a timer wheel. */
  refresh(): number {
    return this.now = this.clock()
  }

  /** True while tasks or flushes wait. */
  get busy(): boolean {
    return this.inTurn || this.hasWork()
  }

  /** Forgets what is queued and runs nothing any more. */
  close(): void {
    this.closed = true
    if (this.scheduled !== undefined) clearImmediate(this.scheduled)
    this.scheduled = undefined
    this.clear()
  }

  private clear(): void {
    for (const tasks of [this.queued, this.running, this.urgent, this.flushes, this.flushing]) tasks.length = 0
    this.cursor = this.urgentCursor = this.flushCursor = 0
  }

  private readonly turn = (): void => {
    this.scheduled = undefined
    this.inTurn = true
    this.turns++
    const deadline = this.refresh() + this.turnMillis
    let generations = this.turnGenerations
    // A defect leaves the cursors behind the task that threw: the loops go on from there.
    for (;;) {
      try {
        while (this.runGeneration(deadline) && --generations > 0);
        break
      } catch (defect) {
        this.report(defect)
      }
    }
    this.takeFlushes()
    while (this.flushCursor < this.flushing.length) {
      try {
        this.runFlushes()
      } catch (defect) {
        this.report(defect)
      }
    }
    this.flushing.length = 0
    this.current = undefined
    this.inTurn = false
    if (this.hasWork()) this.schedule()
  }

  /** False: nothing is left, or the turn has lasted long enough. */
  private runGeneration(deadline: number): boolean {
    if (this.cursor === this.running.length) {
      if (this.queued.length === 0 && this.urgent.length === 0) return false
      const spare = this.running
      spare.length = 0
      this.running = this.queued
      this.cursor = 0
      this.queued = spare
    }
    for (;;) {
      let left = tasksPerClockRead
      while (left > 0) {
        let task: Task | undefined
        if (this.urgent.length > 0) {
          task = this.urgent[this.urgentCursor++]
          if (this.urgentCursor === this.urgent.length) {
            this.urgent.length = 0
            this.urgentCursor = 0
          }
        } else if (this.cursor < this.running.length) {
          task = this.running[this.cursor++]
        } else {
          // An ended task must not stay reachable through the spare array of an idle broker.
          this.running.length = 0
          this.cursor = 0
          return this.queued.length > 0 && this.refresh() < deadline
        }
        if (task !== undefined) {
          this.tasks++
          this.current = task
          task.run()
        }
        left--
      }
      if (this.refresh() >= deadline) return false
    }
  }

  /** Last queued, first run: what a client's bytes have set going is written before the answer to that client. */
  private takeFlushes(): void {
    const spare = this.flushing
    this.flushing = this.flushes.reverse()
    this.flushes = spare
    this.flushCursor = 0
  }

  private runFlushes(): void {
    while (this.flushCursor < this.flushing.length) {
      const task = this.flushing[this.flushCursor++]
      if (task !== undefined) {
        this.current = task
        task.run()
      }
    }
  }

  private hasWork(): boolean {
    return this.cursor < this.running.length || this.queued.length > 0 || this.urgent.length > 0 ||
      this.flushes.length > 0
  }

  private schedule(): void {
    if (this.closed) return this.clear()
    this.refresh()
    this.scheduled = setImmediate(this.turn)
  }

  private report(defect: unknown): void {
    if (this.current === undefined) return rethrowLater(defect)
    try {
      this.onDefect(defect, this.current)
    } catch (again) {
      rethrowLater(again)
    }
  }
}
