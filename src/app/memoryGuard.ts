// Whether the process has more than its share of memory: then the overload judge keeps new clients out, so that those who are in keep
// their service.
import { memoryLimit } from "../platform/memoryLimit.ts"

/** Reading the resident size costs a system call. */
const readEveryMillis = 1_000

/** `share` of the memory that the process may have; 0 is off. */
export const memoryGuard = (
  share: number,
  rss = () => process.memoryUsage.rss(),
  limit = memoryLimit()
): (now: number) => boolean => {
  if (share === 0) return () => false
  let readAt = -Infinity
  let over = false
  return (now) => {
    if (now - readAt >= readEveryMillis) {
      readAt = now
      over = rss() > limit * share
    }
    return over
  }
}
