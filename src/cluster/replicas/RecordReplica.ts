// Records that are the same on every node: users, rules, bans. A Replica whose keys are a record's kind and key; their bytes stay in memory, as the parts that they
// belong to keep what they say. Invariant: what came from another node is not taken for a change of this one.
import { FrameKind } from "../Bus.ts"
import { Replica, type ReplicaOptions } from "./Replica.ts"

/** Of the store: a record for each record. */
export const recordStampKind = "cluster_record"

/** What a kind of record is to the part that keeps it. False: it cannot be understood, or there is no room. */
export type TakeRecord = (key: string, value: Uint8Array | null) => boolean

export type RecordReplicaOptions =
  & Omit<ReplicaOptions<Uint8Array>, "codec" | "frames" | "get" | "stampKind" | "take">
  & { readonly kept: ReadonlyMap<string, TakeRecord> }

const separator = "\u0000"

export class RecordReplica extends Replica<Uint8Array> {
  private readonly values: Map<string, Uint8Array>
  private readonly replicated: ReadonlyMap<string, TakeRecord>
  private taking = false

  constructor(options: RecordReplicaOptions) {
    const values = new Map<string, Uint8Array>()
    super({
      ...options,
      frames: { delta: FrameKind.RecordDelta, digest: FrameKind.RecordDigest, request: FrameKind.RecordRequest },
      stampKind: recordStampKind,
      get: (key) => values.get(key),
      take: (key, value) => this.takeIn(key, value),
      codec: { write: (to, value) => void to.data(value), read: (from) => from.data() }
    })
    this.values = values
    this.replicated = options.kept
  }

  /** Told by the journal of every record that is put (null: deleted). */
  recorded(kind: string, key: string, value: Uint8Array | null): void {
    if (this.taking || !this.replicated.has(kind)) return
    this.keep(`${kind}${separator}${key}`, value)
    this.changed(`${kind}${separator}${key}`, value)
  }

  /** What the store has, before the first link. */
  has(kind: string, key: string, value: Uint8Array): void {
    this.keep(`${kind}${separator}${key}`, value)
    this.adopt(`${kind}${separator}${key}`)
  }

  private keep(key: string, value: Uint8Array | null): void {
    if (value === null) this.values.delete(key)
    else this.values.set(key, value)
  }

  private takeIn(key: string, value: Uint8Array | null): boolean {
    const end = key.indexOf(separator)
    const take = this.replicated.get(key.slice(0, end))
    if (take === undefined) return false
    this.taking = true
    const taken = take(key.slice(end + 1), value)
    this.taking = false
    if (taken) this.keep(key, value)
    return taken
  }
}
