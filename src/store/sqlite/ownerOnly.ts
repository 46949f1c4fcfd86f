// Messages are nobody's business but the broker's: its files are made readable for its user only, whatever the umask. SQLite gives the log
// the permissions of the database.
import * as fs from "node:fs"

/** Makes an empty file, which SQLite takes for a new database, where none is there. */
export const ownerOnly = (file: string): void => {
  if (!fs.existsSync(file)) fs.writeFileSync(file, "", { mode: 0o600 })
}
