import { Effect } from "effect"
import { engineContract } from "./Engine.contract.ts"
import { recordsContract } from "./records.contract.ts"
import { sqliteFolder } from "./sqliteFolder.ts"

for (const durability of ["fsync", "process"] as const) {
  const harness = Effect.map(sqliteFolder, (folder) => ({ open: folder.open(durability), survives: true }))
  engineContract(`sqlite, ${durability}`, harness)
  recordsContract(`sqlite, ${durability}`, harness)
}
