// `[shared]`: how shared subscriptions choose.
import type { Fields } from "../table.ts"
import { choice } from "../settingCodecs.ts"

export type SharedStrategy = "random" | "round_robin" | "sticky" | "hash_clientid" | "hash_topic" | "local"

export interface SharedSettings {
  readonly strategy: SharedStrategy
}

export const sharedDefaults: SharedSettings = { strategy: "round_robin" }

export const shared: Fields<SharedSettings> = {
  strategy: ["strategy", choice(["random", "round_robin", "sticky", "hash_clientid", "hash_topic", "local"])]
}
