// Keeps new clients out while the process has more than its share of memory, so that those who are in keep their service.
import type { Refusal } from "../connection/handshake.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import { memoryLimit } from "../platform/memoryLimit.ts"

/** Reading the resident size costs a system call; a flood must not pay it per connection. */
const readEveryMillis = 1_000

export interface MemoryGuard {
  /** Undefined: there is room. */
  readonly refusal: (now: number) => Refusal | undefined
}

/** `share` of the memory that the process may have; 0 is off. */
export const memoryGuard = (
  share: number,
  rss = () => process.memoryUsage.rss(),
  limit = memoryLimit()
): MemoryGuard => {
  if (share === 0) return { refusal: () => undefined }
  const full: Refusal = { reasonCode: ReasonCode.ServerBusy, reason: "node.memory_high_watermark reached" }
  let readAt = -Infinity
  let over = false
  return {
    refusal: (now) => {
      if (now - readAt >= readEveryMillis) {
        readAt = now
        over = rss() > limit * share
      }
      return over ? full : undefined
    }
  }
}
