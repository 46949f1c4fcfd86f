// The topic aliases that we set towards one MQTT 5 client: first come, first kept, for the life of one connection.
// Invariant: never more than the client's Topic Alias Maximum [MQTT5-3.1.2-26] [MQTT5-3.1.2-27].
import type { ConnectionSettings } from "../config/Settings.ts"

type Limits = Pick<ConnectionSettings, "outgoingTopicAliasMaximum">

export class OutgoingAliases {
  private readonly maximum: number
  private readonly aliases = new Map<string, number>()

  /** `maximum`: the smaller of the client's and our own limit; 0 sets none. */
  constructor(maximum: number) {
    this.maximum = maximum
  }

  /** `theirs`: the client's Topic Alias Maximum. Undefined: one of the two limits is 0. */
  static within(theirs: number, { outgoingTopicAliasMaximum: ours }: Limits): OutgoingAliases | undefined {
    return theirs === 0 || ours === 0 ? undefined : new OutgoingAliases(Math.min(theirs, ours))
  }

  /** A known topic's alias; negative: a new alias, to be sent together with the topic; 0: none left. */
  aliasFor(topic: string): number {
    const known = this.aliases.get(topic)
    if (known !== undefined) return known
    if (this.aliases.size >= this.maximum) return 0
    const alias = this.aliases.size + 1
    this.aliases.set(topic, alias)
    return -alias
  }
}
