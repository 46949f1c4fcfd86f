// The rules of one file as they are for one client: those that concern it, in two parts, what it shares with others and what has its own
// names in it. Invariant: rules are asked in their order and the first that matches decides; asking makes no object.
import { isWildcard, TopicTrie } from "../../router/TopicTrie.ts"
import { anyQoS, type Decision, type Rule } from "./Rule.ts"
import { covers, matchesName, overlaps } from "./topicRelations.ts"

/** One topic of one rule. */
export interface Entry {
  readonly action: Rule["action"]
  readonly decision: Decision
  /** Undefined: every topic. */
  readonly filter: string | undefined
  readonly exact: boolean
  readonly qos: number
  readonly retain: boolean | undefined
  /** Its place among all topics of all rules of the file. */
  readonly order: number
}

/** What many clients have in common; made once for all of them. */
export class SharedRules {
  readonly publishes: PublishTable
  readonly subscribes: ReadonlyArray<Entry>
  readonly conditional: boolean
  /** A denied topic denies the wider filters, whatever the setting says. */
  readonly alwaysCovers: boolean
  /** Rules that have a client's own names in a topic, by their index. */
  readonly personal: ReadonlyArray<number>
  /** For clients without such rules. */
  readonly alone: ClientRules

  constructor(entries: ReadonlyArray<Entry>, personal: ReadonlyArray<number>, alwaysCovers: boolean) {
    const publishes = entries.filter(isAboutPublish)
    this.publishes = new PublishTable(publishes, sharedAnswers)
    this.subscribes = entries.filter(isAboutSubscribe)
    this.conditional = publishes.some(isConditional)
    this.personal = personal
    this.alwaysCovers = alwaysCovers
    this.alone = new ClientRules(this, [])
  }
}

export class ClientRules {
  /** Whether QoS or RETAIN make a difference, so that an answer holds for its packet's alone. */
  readonly conditional: boolean
  private readonly shared: SharedRules
  private readonly publishes: PublishTable | undefined
  private readonly subscribes: ReadonlyArray<Entry>

  /** `own`: in their order. */
  constructor(shared: SharedRules, own: ReadonlyArray<Entry>) {
    const publishes = own.filter(isAboutPublish)
    this.shared = shared
    this.publishes = publishes.length === 0 ? undefined : new PublishTable(publishes)
    this.subscribes = own.filter(isAboutSubscribe)
    this.conditional = shared.conditional || publishes.some(isConditional)
  }

  /** Undefined: no rule of the file matches. */
  publish(topic: string, qos: number, retain: boolean): Decision | undefined {
    const common = this.shared.publishes.first(topic, qos, retain)
    return earlier(common, this.publishes?.first(topic, qos, retain))?.decision
  }

  /** Undefined: no rule of the file matches. `filter` is without `$share/…` and the like. */
  subscribe(filter: string, qos: number, denyCovers: boolean): Decision | undefined {
    const whole = denyCovers || this.shared.alwaysCovers
    const bit = 1 << qos
    const concerning = (entry: Entry) => (entry.qos & bit) !== 0 && concernsFilter(entry, filter, whole)
    return earlier(this.shared.subscribes.find(concerning), this.subscribes.find(concerning))?.decision
  }
}

const isAboutPublish = ({ action }: Entry): boolean => action !== "subscribe"
const isAboutSubscribe = ({ action }: Entry): boolean => action !== "publish"
const isConditional = ({ qos, retain }: Entry): boolean => qos !== anyQoS || retain !== undefined

const earlier = (a: Entry | undefined, b: Entry | undefined): Entry | undefined =>
  a === undefined || (b !== undefined && b.order < a.order) ? b : a

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

/** Topics whose answer is remembered for all who have the same rules, beside what each connection remembers. */
const sharedAnswers = 2_048

/** Above so many topics they are looked up in a trie, not one by one. */
const linearUpTo = 16

/** The topics that a PUBLISH is asked against. */
class PublishTable {
  private readonly entries: ReadonlyArray<Entry>
  private readonly trie: TopicTrie<Array<Entry>> | undefined
  /** Entries about every topic, those with a "$" too; beside the trie. */
  private readonly everywhere: ReadonlyArray<Entry>
  private readonly found: Array<Array<Entry>> = []
  /** What was found in the trie, for those who share it: the younger half, and the older one that goes next. */
  private readonly answers: number
  private young = new Map<string, Entry | undefined>()
  private old = this.young

  /** `answers`: topics whose answer is remembered, 0 is none. */
  constructor(entries: ReadonlyArray<Entry>, answers = 0) {
    // Where QoS or RETAIN make a difference an answer holds for its packet's alone.
    this.answers = entries.some(isConditional) ? 0 : answers
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
  first(topic: string, qos: number, retain: boolean): Entry | undefined {
    const bit = 1 << qos
    if (this.trie !== undefined) {
      return this.answers === 0 ? this.look(this.trie, topic, bit, retain) : this.remembered(this.trie, topic)
    }
    for (const entry of this.entries) {
      if (holds(entry, bit, retain) && (entry.filter === undefined || matchesName(entry.filter, topic))) {
        return entry
      }
    }
    return undefined
  }

  private remembered(trie: TopicTrie<Array<Entry>>, topic: string): Entry | undefined {
    const young = this.young.get(topic)
    if (young !== undefined || this.young.has(topic)) return young
    const known = this.old.get(topic)
    const answer = known !== undefined || this.old.has(topic) ? known : this.look(trie, topic, anyQoS, false)
    if (this.young.size >= this.answers >> 1) {
      this.old = this.young
      this.young = new Map()
    }
    this.young.set(topic, answer)
    return answer
  }

  private look(trie: TopicTrie<Array<Entry>>, topic: string, bit: number, retain: boolean): Entry | undefined {
    const { found } = this
    found.length = 0
    trie.match(topic, found)
    let best = firstBefore(undefined, this.everywhere, bit, retain)
    for (const bucket of found) best = firstBefore(best, bucket, bit, retain)
    return best
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
