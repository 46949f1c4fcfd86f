// Which engine the settings ask for. Invariant: `durability = "memory"` writes nothing, whatever the engine.
import { Effect, type Scope } from "effect"
import * as path from "node:path"
import type { StoreSettings } from "../config/sections/store.ts"
import type { LogSink } from "../metrics/EventLog.ts"
import type { Engine, StoreFailure } from "./Engine.ts"
import { openMemory } from "./MemoryEngine.ts"
import { openSqlite } from "./sqlite/SqliteEngine.ts"

/** The file in the data directory. */
export const storeFile = (dataDirectory: string): string => path.join(dataDirectory, "store.sqlite")

export const openEngine = (
  { durability, engine, url }: StoreSettings,
  dataDirectory: string,
  log: LogSink
): Effect.Effect<Engine, StoreFailure, Scope.Scope> => {
  if (durability === "memory" || engine === "memory") return openMemory
  if (engine === "sqlite") return openSqlite({ file: storeFile(dataDirectory), durability, log })
  // Loaded only where it is asked for.
  return Effect.flatMap(
    Effect.promise(() => import("./postgres/PostgresEngine.ts")),
    ({ openPostgres }) => openPostgres({ url, durability })
  )
}
