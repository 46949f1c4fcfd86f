// `[router]`: the table of subscriptions.
import type { Fields } from "../table.ts"
import { integer } from "../settingCodecs.ts"

export interface RouterSettings {
  /** 256 to 16,777,216 hot topics remembered with their subscribers (rounded up to a power of two). */
  readonly topicCache: number
  /**
   * 16 to 1,048,576 SUBSCRIBE and UNSUBSCRIBE waiting. Full: SUBACK, UNSUBACK 0x83 Implementation specific error
   * (3.1.1: 0x80).
   */
  readonly mailboxCapacity: number
}

export const routerDefaults: RouterSettings = { topicCache: 65_536, mailboxCapacity: 65_536 }

export const router: Fields<RouterSettings> = {
  topicCache: ["topic_cache", integer(256, 16_777_216)],
  mailboxCapacity: ["mailbox_capacity", integer(16, 1_048_576)]
}
