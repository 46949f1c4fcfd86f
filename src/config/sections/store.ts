// `[store]`: what survives a restart, and where it is kept.
import { choice, duration, text } from "../settingCodecs.ts"
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
}

export const storeDefaults: StoreSettings = {
  engine: "sqlite",
  durability: "fsync",
  url: "",
  retryIntervalMillis: 1_000
}

export const store: Fields<StoreSettings> = {
  engine: ["engine", choice(["sqlite", "postgres", "memory"])],
  durability: ["durability", choice(["fsync", "process", "memory"])],
  url: ["url", text("the address of a PostgreSQL database", (value) => !value.includes("\0"))],
  retryIntervalMillis: ["retry_interval", duration({ minimum: "100ms", maximum: "10m" })]
}
