// A folder for one store, and what is done to its files behind the engine's back.
import { Effect } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { LogFields } from "../../src/metrics/EventLog.ts"
import { openSqlite } from "../../src/store/sqlite/SqliteEngine.ts"

export class SqliteFolder {
  readonly directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-store-"))
  readonly file = path.join(this.directory, "store.sqlite")
  readonly log: Array<readonly [message: string, fields: LogFields]> = []

  open(durability: "fsync" | "process" = "fsync") {
    return openSqlite({ file: this.file, durability, log: (_, message, fields) => this.log.push([message, fields]) })
  }

  names(): ReadonlyArray<string> {
    return fs.readdirSync(this.directory).sort()
  }

  /** Overwrites each place where `text` stands in the file with as many bytes of another value; says how many. */
  spoil(text: string, file = this.file): number {
    const bytes = fs.readFileSync(file)
    let found = 0
    for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) {
      bytes.fill(0x21, at, at + text.length)
      found++
    }
    fs.writeFileSync(file, bytes)
    return found
  }

  overwrite(offset: number, bytes: Uint8Array): void {
    const file = fs.openSync(this.file, "r+")
    fs.writeSync(file, bytes, 0, bytes.length, offset)
    fs.closeSync(file)
  }
}

export const sqliteFolder = Effect.acquireRelease(
  Effect.sync(() => new SqliteFolder()),
  ({ directory }) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)
