// `[store]`: what survives a restart, and where it is kept.
import { choice, duration, integer, size, text } from "../settingCodecs.ts"
import type { Fields } from "../table.ts"

export type StoreEngine = "sqlite" | "postgres" | "memory"
export type Durability = "fsync" | "process" | "memory"

export interface StoreSettings {
  /** `sqlite`: a file in node.data_dir; `postgres`: `url`; `memory`: nothing survives. */
  readonly engine: StoreEngine
  /** What an acknowledgement survives: `fsync` a power cut, `process` a kill -9, `memory` nothing (and nothing is written). */
  readonly durability: Durability
  /** postgres://user:password@host:port/database; secret. */
  readonly url: string
  /** 100 ms to 10 min. A group that the store did not take is tried again after this. */
  readonly retryIntervalMillis: number
  /** 1 MiB to 1 GiB of changes that wait for the group before theirs. Full: see the manual. */
  readonly maxPendingBytes: number
  /** 1 to 65,535 answers of one connection that wait for the store, and acknowledgements of its client. Reached: it is not read. */
  readonly maxHeldAnswers: number
}

const MIB = 1024 * 1024

export const storeDefaults: StoreSettings = {
  engine: "sqlite",
  durability: "fsync",
  url: "",
  retryIntervalMillis: 1_000,
  maxPendingBytes: 8 * MIB,
  maxHeldAnswers: 1_024
}

export const store: Fields<StoreSettings> = {
  engine: ["engine", choice(["sqlite", "postgres", "memory"])],
  durability: ["durability", choice(["fsync", "process", "memory"])],
  url: ["url", text("the address of a PostgreSQL database", (value) => !value.includes("\0"))],
  retryIntervalMillis: ["retry_interval", duration({ minimum: "100ms", maximum: "10m" })],
  maxPendingBytes: ["max_pending", size(MIB, 1024 * MIB)],
  maxHeldAnswers: ["max_held_answers", integer(1, 65_535)]
}
