// `[queue]`: what waits for one client.
import type { Fields } from "../table.ts"
import { choice, integer, truth } from "../settingCodecs.ts"

export type WhenQueueFull = "drop_oldest_qos0_first" | "drop_oldest" | "drop_newest"

export interface QueueSettings {
  /** 1 to 10,000,000 messages per session, beside those in flight. Full: `whenFull`, counted. */
  readonly capacity: number
  readonly whenFull: WhenQueueFull
  /** Whether QoS 0 is kept for a session whose client is away. */
  readonly storeQoS0: boolean
}

export const queueDefaults: QueueSettings = { capacity: 1000, whenFull: "drop_oldest_qos0_first", storeQoS0: true }

export const queue: Fields<QueueSettings> = {
  capacity: ["capacity", integer(1, 10_000_000)],
  whenFull: ["when_full", choice(["drop_oldest_qos0_first", "drop_oldest", "drop_newest"])],
  storeQoS0: ["store_qos0", truth]
}
