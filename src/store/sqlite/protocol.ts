// What the engine on the event loop and the writer's thread say to each other. Bytes are transferred, not copied, and as whole buffers: Deno
// takes 60 ns a byte for a view.
import type { StoredHighest, StoreFailureKind, StoreStats } from "../Engine.ts"

export interface OpenOptions {
  /** Absolute path of the database. */
  readonly file: string
  /** As the operator wrote it, for messages. */
  readonly name: string
  /** True: a commit survives a power cut; false: only the end of the process. */
  readonly sync: boolean
}

export type Ask =
  | { readonly _tag: "Open"; readonly options: OpenOptions }
  | { readonly _tag: "Commit"; readonly group: ArrayBuffer; readonly length: number }
  | { readonly _tag: "ReadSessions"; readonly after: number; readonly limit: number }
  | { readonly _tag: "ReadDeliveries"; readonly session: number; readonly after: number; readonly limit: number }
  | { readonly _tag: "NextDelivery"; readonly session: number; readonly after: number }
  | { readonly _tag: "ReadRetained"; readonly after: string; readonly limit: number }
  | { readonly _tag: "ReadRecords"; readonly kind: string; readonly after: string; readonly limit: number }
  | { readonly _tag: "RecordKinds" }
  | { readonly _tag: "Tidy" }
  | { readonly _tag: "Stats" }
  | { readonly _tag: "Close" }

export type Answer = StoredHighest | ArrayBuffer | StoreStats | ReadonlyArray<string> | boolean | number | null

export type ToWriter = { readonly id: number; readonly ask: Ask }

export type FromWriter =
  | { readonly _tag: "Done"; readonly id: number; readonly answer: Answer }
  | { readonly _tag: "Failed"; readonly id: number; readonly kind: StoreFailureKind; readonly message: string }
  /** For the operator's log. */
  | { readonly _tag: "Notice"; readonly message: string; readonly fields: Readonly<Record<string, string | number>> }
