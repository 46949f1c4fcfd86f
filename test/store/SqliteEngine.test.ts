import { Effect } from "effect"
import { engineContract } from "./Engine.contract.ts"
import { sqliteFolder } from "./sqliteFolder.ts"

for (const durability of ["fsync", "process"] as const) {
  engineContract(
    `sqlite, ${durability}`,
    Effect.map(sqliteFolder, (folder) => ({ open: folder.open(durability), survives: true }))
  )
}
