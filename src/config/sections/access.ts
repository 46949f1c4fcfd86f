// `[access]`: who may come in without a name.
import type { Fields } from "../table.ts"
import { choice, isTopicFilter, textList } from "../settingCodecs.ts"

export type AnonymousAccess = "loopback" | "anywhere" | "nowhere"

export interface AccessSettings {
  /**
   * Who may come in without a name. Refused: CONNACK 0x87 Not authorized (3.x: 5), and a log line that names this
   * setting.
   */
  readonly anonymous: AnonymousAccess
  /**
   * Topic filters (as clients write them, compared as text) that nobody may subscribe to: SUBACK 0x80 in every
   * version.
   */
  readonly refusedSubscriptions: ReadonlyArray<string>
}

export const accessDefaults: AccessSettings = { anonymous: "loopback", refusedSubscriptions: [] }

export const access: Fields<AccessSettings> = {
  anonymous: ["anonymous", choice(["loopback", "anywhere", "nowhere"])],
  refusedSubscriptions: ["refused_subscriptions", textList("topic filters", isTopicFilter)]
}
