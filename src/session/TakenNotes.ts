// What a session has taken of sessions that other nodes had for its client, up to which of their deliveries: until the other node says that its session has
// ended it may offer them again, after a crash of either. The notes are in the store in the group of what was taken, and go on with the session when it
// moves. Invariant: a delivery that was taken is not taken again, wherever the session is by then.
import { RecordReader } from "../store/records/RecordReader.ts"
import { RecordWriter } from "../store/records/RecordWriter.ts"
import type { StoredDelivery } from "../store/Engine.ts"
import type { Journal } from "../store/Journal.ts"

export const takenKind = "session_taken"

export interface TakenNote {
  readonly node: string
  /** As that node's store numbers it. */
  readonly session: number
  /** Of the last delivery that was taken of it. */
  readonly sequence: number
  /** This session is that one, gone on: it had its subscriptions all the time. Else what that one is owed was merged into this one. */
  readonly descends: boolean
}

/** Where deliveries come from; session 0: it is in no store, and nothing can be noted of it. */
export type TakenFrom = Pick<TakenNote, "node" | "session">

/** A session that has moved on so often without one of its former nodes saying that it has ended. */
const mostNotes = 16

export class TakenNotes {
  private notes: Array<TakenNote>
  private readonly ghosts = new WeakMap<TakenNote, number>()

  constructor(notes: ReadonlyArray<TakenNote>) {
    this.notes = notes.slice(-mostNotes)
  }

  get all(): ReadonlyArray<TakenNote> {
    return this.notes
  }

  /** Those that have not been taken before. */
  unknown(from: TakenFrom, rows: ReadonlyArray<StoredDelivery>): ReadonlyArray<StoredDelivery> {
    const note = this.of(from)
    if (note === undefined) return rows
    const last = this.ghosts.get(note) ?? Infinity
    return rows.filter(({ sequence }) => sequence > note.sequence && sequence <= last)
  }

  /**
   * It is offered anew. What it had when its node started with it again, up to `restored`, may be missing here; it was a ghost from then on: what it has
   * got since this session has got as well. 0: its node has not been away.
   */
  offered(from: TakenFrom, restored: number): void {
    const note = this.of(from)
    if (note?.descends === true && restored > 0) this.ghosts.set(note, restored)
  }

  add({ node, session }: TakenFrom, sequence: number, descends: boolean): void {
    if (session === 0) return
    const before = this.of({ node, session })
    const note = {
      node,
      session,
      sequence: Math.max(sequence, before?.sequence ?? 0),
      descends: before?.descends ?? descends
    }
    const ghost = before === undefined ? undefined : this.ghosts.get(before)
    if (ghost !== undefined) this.ghosts.set(note, ghost)
    this.notes = [...this.notes.filter((one) => one !== before), note].slice(-mostNotes)
  }

  /** True: there was one. */
  forget(from: TakenFrom): boolean {
    const note = this.of(from)
    this.notes = this.notes.filter((one) => one !== note)
    return note !== undefined
  }

  /** `session`: as this store numbers the one that has taken. */
  save(journal: Journal, clientId: string, session: number): void {
    if (this.notes.length === 0) journal.deleteRecord(takenKind, String(session))
    else journal.putRecord(takenKind, String(session), encodeTaken(clientId, this.notes))
  }

  private of({ node, session }: TakenFrom): TakenNote | undefined {
    return this.notes.find((one) => one.node === node && one.session === session)
  }
}

export const writeTaken = (to: RecordWriter, notes: ReadonlyArray<TakenNote>): void => {
  to.uint16(notes.length)
  for (const { descends, node, sequence, session } of notes) {
    to.uint8(descends ? 1 : 0)
    to.text(node)
    to.float64(session)
    to.float64(sequence)
  }
}

export const readTaken = (from: RecordReader): ReadonlyArray<TakenNote> =>
  Array.from(
    { length: from.uint16() },
    () => ({
      descends: from.uint8() === 1,
      node: from.text(),
      session: from.float64(),
      sequence: from.float64()
    })
  )

const encodeTaken = (clientId: string, notes: ReadonlyArray<TakenNote>): Uint8Array => {
  const to = new RecordWriter(64)
  to.text(clientId)
  writeTaken(to, notes)
  return to.written().slice()
}

export const decodeTaken = (
  bytes: Uint8Array
): { readonly clientId: string; readonly notes: ReadonlyArray<TakenNote> } => {
  const from = new RecordReader(bytes)
  return { clientId: from.text(), notes: readTaken(from) }
}
