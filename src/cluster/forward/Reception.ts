// How far the stream of one peer has come here, and which part of it may be acknowledged. Plain state of the Forwarder. Invariants: a message
// is taken once; none is acknowledged before the group that its deliveries are in is committed, and its place with them.
import type { Forward } from "../../router/Forward.ts"
import type { Journal } from "../../store/Journal.ts"
import { isAfter, nowhere, type Position } from "./Entry.ts"
import { positionKind, positionValue } from "./outboxRecords.ts"

interface Unacknowledged {
  position: Position
  readonly group: number
  /** Messages of shared groups that were handed on to another node. */
  readonly forwards: ReadonlyArray<Forward>
}

const noForwards: ReadonlyArray<Forward> = []

export class Reception {
  readonly peer: string
  /** Of what was taken last. */
  epoch: number
  sequence: number
  /** Messages of that run. */
  private taken = 0
  private acknowledged: Position
  private readonly waiting: Array<Unacknowledged> = []
  private readonly journal: Journal
  private forwards: Array<Forward> | undefined

  constructor(peer: string, journal: Journal, stored: Position = nowhere) {
    this.peer = peer
    this.journal = journal
    this.epoch = stored.epoch
    this.sequence = stored.sequence
    this.acknowledged = stored
  }

  get position(): Position {
    return { epoch: this.epoch, sequence: this.sequence }
  }

  /** Of the last message. */
  get reached(): Position {
    return { epoch: this.epoch, sequence: this.sequence + Math.max(0, this.taken - 1) }
  }

  /** What the peer need not keep any more. */
  get done(): Position {
    return this.acknowledged
  }

  /** False: it was here before. */
  take(epoch: number, sequence: number): boolean {
    if (epoch < this.epoch || (epoch === this.epoch && sequence <= this.sequence)) return false
    this.epoch = epoch
    this.sequence = sequence
    this.taken = 0
    return true
  }

  messageTaken(): void {
    this.taken++
  }

  handedOn(forward: Forward): void {
    this.forwards ??= []
    this.forwards.push(forward)
  }

  /** After the messages of a frame; `changes`: of the journal, before them. */
  frameTaken(changes: number): void {
    const { journal } = this
    const position = this.position
    let group = 0
    // With nothing recorded, a crash here forgets the sessions that got it too.
    if (journal.changes !== changes) group = journal.putRecord(positionKind, this.peer, positionValue(position))
    const forwards = this.forwards ?? noForwards
    this.forwards = undefined
    const last = this.waiting[this.waiting.length - 1]
    if (last !== undefined && last.forwards.length === 0 && forwards.length === 0 && group <= last.group) {
      last.position = position
    } else this.waiting.push({ position, group, forwards })
  }

  /** What may be acknowledged now and was not: undefined, nothing new. */
  advance(): Position | undefined {
    const { committed } = this.journal
    let count = 0
    for (const { forwards, group, position } of this.waiting) {
      if (group > committed) break
      if (forwards.some((forward) => !forward.settled || forward.group > committed)) break
      if (isAfter(position, this.acknowledged)) this.acknowledged = position
      count++
    }
    if (count === 0) return undefined
    this.waiting.splice(0, count)
    return this.acknowledged
  }

  get isWaiting(): boolean {
    return this.waiting.length > 0
  }
}
