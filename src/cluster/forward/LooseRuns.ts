// Messages for one peer that may be lost on their way (QoS 0 there): sent with the next flush or dropped and counted. Plain code, part of a
// PeerStream. Invariant: nothing stays here beyond a flush.
import type { Message } from "../../mqtt/Message.ts"
import type { BodyWriter } from "../BodyWriter.ts"
import { Run, type Target } from "./Entry.ts"
import { writeRun } from "./forwardFrames.ts"

export interface LooseCounts {
  forward_sent_total: number
  forward_dropped_qos0_total: number
}

export class LooseRuns {
  private runs: Array<Run> = []
  private last: Run | undefined
  private readonly counts: LooseCounts

  constructor(counts: LooseCounts) {
    this.counts = counts
  }

  get isEmpty(): boolean {
    return this.runs.length === 0
  }

  /** True: it has become part of a run that waits to be sent. */
  extend(message: Message, target: Target): boolean {
    const { last } = this
    return last !== undefined && last.extend(message, target)
  }

  push(message: Message, target: Target): void {
    this.runs.push(this.last = new Run(message, target))
  }

  /** As many as fill it up to `most` bytes; at least one. */
  write(writer: BodyWriter, now: number, most: number): void {
    const { runs } = this
    let count = 0
    for (const run of runs) {
      if (count > 0 && writer.length >= most) break
      writeRun(writer, run, -1, now)
      this.counts.forward_sent_total += run.count
      count++
    }
    this.runs = count === runs.length ? [] : runs.slice(count)
    if (this.runs.length === 0) this.last = undefined
  }

  drop(): void {
    for (const { count } of this.runs) this.counts.forward_dropped_qos0_total += count
    this.forget()
  }

  forget(): void {
    this.runs = []
    this.last = undefined
  }
}
