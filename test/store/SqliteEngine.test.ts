import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { openSqlite } from "../../src/store/sqlite/SqliteEngine.ts"
import { engineContract } from "./Engine.contract.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-store-"))),
  (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
)

for (const durability of ["fsync", "process"] as const) {
  engineContract(
    `sqlite, ${durability}`,
    Effect.map(folder, (made) => ({
      open: openSqlite({ file: path.join(made, "store.sqlite"), durability, log: () => {} }),
      survives: true
    }))
  )
}
