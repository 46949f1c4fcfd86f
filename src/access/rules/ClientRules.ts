// The rules of one file as they are for one client: those that concern it, with its names put in, apart for PUBLISH and SUBSCRIBE.
// Made once a connection and shared between clients for whom they come out the same. Invariant: rules are asked in their order and the
// first that matches decides; asking makes no object.
import { isWildcard, TopicTrie } from "../../router/TopicTrie.ts"
import { anyQoS, type Decision } from "./Rule.ts"
import { covers, matchesName, overlaps } from "./topicRelations.ts"

/** One topic of one rule. */
export interface Entry {
  readonly decision: Decision
  /** Undefined: every topic. */
  readonly filter: string | undefined
  readonly exact: boolean
  readonly qos: number
  readonly retain: boolean | undefined
  readonly order: number
}

export class ClientRules {
  /** Whether QoS or RETAIN make a difference, so that an answer holds for its packet's alone. */
  readonly conditional: boolean
  private readonly publishes: PublishTable
  private readonly subscribes: ReadonlyArray<Entry>
  private readonly alwaysCovers: boolean

  constructor(publishes: ReadonlyArray<Entry>, subscribes: ReadonlyArray<Entry>, alwaysCovers: boolean) {
    this.publishes = new PublishTable(publishes)
    this.subscribes = subscribes
    this.alwaysCovers = alwaysCovers
    this.conditional = publishes.some(({ qos, retain }) => qos !== anyQoS || retain !== undefined)
  }

  /** Undefined: no rule of the file matches. */
  publish(topic: string, qos: number, retain: boolean): Decision | undefined {
    return this.publishes.decide(topic, qos, retain)
  }

  /** Undefined: no rule of the file matches. `filter` is without `$share/…` and the like. */
  subscribe(filter: string, qos: number, denyCovers: boolean): Decision | undefined {
    const whole = denyCovers || this.alwaysCovers
    for (const entry of this.subscribes) {
      if ((entry.qos & 1 << qos) !== 0 && concernsFilter(entry, filter, whole)) return entry.decision
    }
    return undefined
  }
}

/**
 * What is allowed is allowed whole: the rule has to cover the filter. What is denied: with `denyCovers` every filter that could bring a
 * message of a denied topic, else, as in the original, those that the rule's filter matches as if they were names.
 */
const concernsFilter = (entry: Entry, filter: string, denyCovers: boolean): boolean => {
  if (entry.filter === undefined) return true
  if (entry.decision.allowed) return entry.exact ? entry.filter === filter : covers(entry.filter, filter)
  if (entry.exact) return entry.filter === filter || (denyCovers && covers(filter, entry.filter))
  return denyCovers ? overlaps(entry.filter, filter) : matchesName(entry.filter, filter)
}

/** Above so many topics they are looked up in a trie, not one by one. */
const linearUpTo = 16

/** The topics that a PUBLISH is asked against. */
class PublishTable {
  private readonly entries: ReadonlyArray<Entry>
  private readonly trie: TopicTrie<Array<Entry>> | undefined
  /** Entries about every topic, those with a "$" too; beside the trie. */
  private readonly everywhere: ReadonlyArray<Entry>
  private readonly found: Array<Array<Entry>> = []

  constructor(entries: ReadonlyArray<Entry>) {
    // An exact text with wildcards is no name: nobody can publish to it.
    this.entries = entries.filter(({ exact, filter }) => !exact || (filter !== undefined && !isWildcard(filter)))
    this.everywhere = this.entries.filter(({ filter }) => filter === undefined)
    if (this.entries.length <= linearUpTo) return
    this.trie = new TopicTrie<Array<Entry>>()
    for (const entry of this.entries) {
      if (entry.filter === undefined) continue
      const bucket = this.trie.get(entry.filter)
      if (bucket === undefined) this.trie.set(entry.filter, [entry])
      else bucket.push(entry)
    }
  }

  /** Undefined: no rule matches. */
  decide(topic: string, qos: number, retain: boolean): Decision | undefined {
    const bit = 1 << qos
    if (this.trie !== undefined) return this.look(this.trie, topic, bit, retain)
    for (const entry of this.entries) {
      if (holds(entry, bit, retain) && (entry.filter === undefined || matchesName(entry.filter, topic))) {
        return entry.decision
      }
    }
    return undefined
  }

  private look(trie: TopicTrie<Array<Entry>>, topic: string, bit: number, retain: boolean): Decision | undefined {
    const { found } = this
    found.length = 0
    trie.match(topic, found)
    let best = firstBefore(undefined, this.everywhere, bit, retain)
    for (const bucket of found) best = firstBefore(best, bucket, bit, retain)
    return best?.decision
  }
}

const holds = (entry: Entry, bit: number, retain: boolean): boolean =>
  (entry.qos & bit) !== 0 && (entry.retain === undefined || entry.retain === retain)

/** The first of `entries` whose conditions hold, when it stands before `best`. */
const firstBefore = (
  best: Entry | undefined,
  entries: ReadonlyArray<Entry>,
  bit: number,
  retain: boolean
): Entry | undefined => {
  for (const entry of entries) {
    if (best !== undefined && best.order < entry.order) return best
    if (holds(entry, bit, retain)) return entry
  }
  return best
}
