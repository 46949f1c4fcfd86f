// How much memory this process may have: the container's limit where there is one, else the machine's.
import { readFileSync } from "node:fs"
import { totalmem } from "node:os"

const cgroupFiles = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]

/** Bytes. */
export const memoryLimit = (): number => {
  const machine = totalmem()
  for (const file of cgroupFiles) {
    try {
      const limit = Number(readFileSync(file, "latin1").trim())
      if (limit > 0 && limit < machine) return limit
    } catch {
      // Not in such a container.
    }
  }
  return machine
}
