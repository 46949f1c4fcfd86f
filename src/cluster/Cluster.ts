// The cluster's one actor: it runs links, membership, routes, forwarder, directory and replicas in its turns, so that none of them is
// ever called from two places. Sockets and other actors leave something and wake it. Invariant: a part is called in a turn of this actor
// alone; what it was told before a link went down it does not hear after.
import { Actor } from "../otp/Actor.ts"
import type { Scheduler } from "../otp/Scheduler.ts"
import type { BusPart } from "./Bus.ts"
import { Parts } from "./Parts.ts"

/** What carries frames: Links.ts. */
export interface Carrier {
  /** Hands the frames that came, and the links that came and went, to the parts. */
  work(parts: BusPart): void
  /** Time passes; ms since 1970. Before the parts hear of it. */
  tick(now: number): void
  /** The actor's life has ended: every link goes, and the parts hear of it. */
  close(parts: BusPart): void
}

/** Requests of other actors and of the administrator that wait for the cluster's turn. */
const mostTasks = 65_536

export class Cluster extends Actor {
  readonly parts = new Parts()
  private readonly carrier: Carrier
  private tasks: Array<() => void> = []
  private tickDue = false

  constructor(scheduler: Scheduler, carrier: Carrier) {
    super("cluster", scheduler)
    this.carrier = carrier
  }

  /** Before the first link is up. */
  add(...parts: ReadonlyArray<BusPart>): this {
    for (const part of parts) this.parts.add(part)
    return this
  }

  /** Runs it in the cluster's turn. False: too many wait, or the cluster has ended. */
  post(task: () => void): boolean {
    if (this.ended || this.tasks.length >= mostTasks) return false
    this.tasks.push(task)
    this.wake()
    return true
  }

  /** About every 100 ms. */
  onTimer(): void {
    this.tickDue = true
    this.wake()
  }

  protected override receive(): void {
    if (this.tickDue) {
      this.tickDue = false
      this.carrier.tick(this.scheduler.now)
      this.carrier.work(this.parts)
      this.parts.tick(this.scheduler.now)
    }
    const tasks = this.tasks
    if (tasks.length > 0) {
      this.tasks = []
      let done = 0
      try {
        while (done < tasks.length) tasks[done++]?.()
      } finally {
        // After a crash the others are for the next life.
        if (done < tasks.length) this.tasks = [...tasks.slice(done), ...this.tasks]
      }
    }
    this.carrier.work(this.parts)
  }

  protected override closed(): void {
    this.carrier.close(this.parts)
  }
}
