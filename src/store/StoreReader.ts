// A store that is only looked at, also while a broker writes it: what was committed when it was opened, or a little later.
import type { Effect, Scope } from "effect"
import type { Engine, StoreFailure } from "./Engine.ts"

export interface StoreReader extends
  Pick<
    Engine,
    | "description"
    | "highest"
    | "readSessions"
    | "readDeliveries"
    | "readRetained"
    | "readRecords"
    | "recordKinds"
    | "stats"
  > {
  /** Rows met so far whose checksum does not fit, by table and key; they are left where they are. */
  readonly damaged: ReadonlyArray<string>
  /** What the engine itself finds wrong with its file, one line each. */
  readonly faults: Effect.Effect<ReadonlyArray<string>, StoreFailure>
}

export type OpenReader = Effect.Effect<StoreReader, StoreFailure, Scope.Scope>
