/**
 * An owner of state. Its life is an ordinary supervised fiber, parked from start to end; its batches are plain code that the
 * Scheduler runs (docs/adr/0001). Others only ever leave something for it and `wake` it. Invariant: `receive` never runs inside a
 * sender's stack nor twice at once, and what it throws ends this actor's life alone, as a defect of its fiber.
 */
import { Effect } from "effect"
import type { Scheduler, Task } from "./Scheduler.ts"

type Resume = (effect: Effect.Effect<void>) => void

const idle = 0
const queued = 1
const urgent = 2

export abstract class Actor implements Task {
  readonly name: string
  protected readonly scheduler: Scheduler
  private queueing: typeof idle | typeof queued | typeof urgent = idle
  private over = false
  private wasStopped = false
  private resume: Resume | undefined
  /** How a life ended that no fiber was parked for: the next run of `life` reports it. */
  private unreported: Effect.Effect<void> | undefined

  constructor(name: string, scheduler: Scheduler) {
    this.name = name
    this.scheduler = scheduler
  }

  /** Drains everything there is. Plain code; what it throws is a crash of this actor. */
  protected abstract receive(): void

  /** A life begins again after a crash, an interruption or a stop: rebuild what the last one may have damaged. */
  protected restarted(): void {}

  /** A life has ended, however it did; before the supervisor hears of it. Plain code; for closing what the actor holds. */
  protected closed(): void {}

  /** True between lives and after the last one. Before its first life an actor is not ended: it can be woken. */
  get ended(): boolean {
    return this.over
  }

  /** Ended by `stop`, for good as far as anybody knows; a crash or an interruption may be followed by another life. */
  get stopped(): boolean {
    return this.wasStopped
  }

  /** Has `receive` run, once for all wakes until then. Costs a push; does nothing when already queued, or ended. */
  wake(): void {
    if (this.queueing !== idle || this.over) return
    this.queueing = queued
    this.scheduler.enqueue(this)
  }

  /** As wake, but before the actors that are queued already. */
  wakeNext(): void {
    if (this.queueing === urgent || this.over) return
    this.queueing = urgent
    this.scheduler.enqueueNext(this)
  }

  /** For the scheduler. An entry that wakeNext has overtaken, or whose actor has ended, does nothing. */
  run(): void {
    if (this.queueing === idle) return
    this.queueing = idle
    if (this.over) return
    try {
      this.receive()
    } catch (defect) {
      this.crash(defect)
    }
  }

  /** Ends the life with a defect; the supervisor decides what follows, before this returns. */
  crash(defect: unknown): void {
    this.end(Effect.die(defect))
  }

  /** Ends the life normally. */
  stop(): void {
    this.wasStopped = true
    this.end(Effect.void)
  }

  /**
   * The fiber's whole program: parks it until the life ends. Succeeds on stop, dies with the defect on crash; interrupting it is a
   * stop. Run again, it begins another life of the same actor.
   */
  get life(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.park(resume)
      return Effect.sync(() => this.interrupted())
    })
  }

  /** `life` for a supervisor, which calls `interrupted` itself when the fiber has ended: 300 bytes less for each parked actor. */
  get bareLife(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => this.park(resume))
  }

  /** The fiber of a life was interrupted. */
  interrupted(): void {
    this.end(undefined)
  }

  private park(resume: Resume): void {
    const unreported = this.unreported
    if (unreported !== undefined) {
      this.unreported = undefined
      return resume(unreported)
    }
    if (this.resume !== undefined) return resume(Effect.die(new Error(`${this.name} is alive already`)))
    if (this.over) {
      this.over = false
      this.wasStopped = false
      try {
        this.restarted()
      } catch (defect) {
        this.over = true
        return resume(Effect.die(defect))
      }
      // It may have ended itself in there; `unreported` was set by that end.
      const ended: Effect.Effect<void> | undefined = this.unreported
      if (ended !== undefined) {
        this.unreported = undefined
        return resume(ended)
      }
      // What came between two lives was not announced.
      this.wake()
    }
    this.resume = resume
  }

  /** undefined: the fiber is ending already, by interruption. */
  private end(exit: Effect.Effect<void> | undefined): void {
    if (this.over) return
    this.over = true
    const resume = this.resume
    this.resume = undefined
    try {
      this.closed()
    } catch (defect) {
      if (exit !== undefined) exit = Effect.die(defect)
    }
    if (exit === undefined) return
    if (resume === undefined) this.unreported = exit
    else resume(exit)
  }
}
