// How many files and sockets this process may have open: the system's soft limit, which neither runtime tells.
import { readFileSync } from "node:fs"

/** Infinity where it cannot be known. */
export const openFileLimit = (): number => {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))
    return line?.[1] === undefined ? Infinity : Number(line[1])
  } catch {
    return Infinity
  }
}
