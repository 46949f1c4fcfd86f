// SHA256SUMS, as sha256sum writes and checks it.
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"

/** Of every file in the folder but itself, by name. */
export const checksumsOf = (folder: string): string =>
  fs.readdirSync(folder).filter((name) => name !== "SHA256SUMS").toSorted().map((name) =>
    `${createHash("sha256").update(fs.readFileSync(path.join(folder, name))).digest("hex")}  ${name}\n`
  ).join("")
