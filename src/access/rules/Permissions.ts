// What one connection may do: asks the rules in force and remembers a few answers. Owned by its connection, made when it first publishes or
// subscribes. Invariants: an answer is never older than the rules in force; what is remembered is bounded.
import { parseSharedFilter } from "../../mqtt/Topic.ts"
import { type Authorization, type InForce, type RulesInForce, superuser } from "./Authorization.ts"
import type { Decision, Subject } from "./Rule.ts"

const noRules: ReadonlyArray<RulesInForce> = []

export class Permissions {
  private readonly inForce: InForce
  private readonly subject: Subject
  private readonly cacheSize: number
  private authorization: Authorization | undefined
  private rules = noRules
  private conditional = false
  private cache: Map<string, Decision> | undefined
  private lastTopic = ""
  private lastDecision: Decision | undefined

  /** `cacheSize`: topics whose answer is remembered, 0 is none but the last. */
  constructor(inForce: InForce, subject: Subject, cacheSize: number) {
    this.inForce = inForce
    this.subject = subject
    this.cacheSize = cacheSize
  }

  /** The topic is a valid name. */
  publish(topic: string, qos: number, retain: boolean): Decision {
    const { authorization } = this.inForce
    if (this.authorization !== authorization) this.renew(authorization)
    if (this.conditional) return this.decide(authorization, topic, qos, retain)
    if (this.lastDecision !== undefined && this.lastTopic === topic) return this.lastDecision
    let decision = this.cache?.get(topic)
    if (decision === undefined) {
      decision = this.decide(authorization, topic, qos, retain)
      this.remember(topic, decision)
    }
    this.lastTopic = topic
    this.lastDecision = decision
    return decision
  }

  /**
   * As the client wrote it: `$share/<group>/…`, `$queue/…` and `$local/…` are judged by the filter in them. A filter that is none is
   * not for us to refuse.
   */
  subscribe(topicFilter: string, qos: number): Decision {
    const { authorization } = this.inForce
    if (this.authorization !== authorization) this.renew(authorization)
    if (this.subject.superuser) return superuser
    const filter = parseSharedFilter(topicFilter)?.filter ?? topicFilter
    for (const rules of this.rules) {
      const decision = rules.subscribe(filter, qos, authorization.denyCovers)
      if (decision !== undefined) return decision
    }
    return authorization.noMatch
  }

  /**
   * Fetches the answers that were `awaited`; `done` is called when they are there, never within this call. Then the questions are asked
   * again, which may have another source be asked. Returns what stops it.
   */
  fetch(done: () => void): () => void {
    let left = 1
    const one = () => {
      if (--left === 0) done()
    }
    const stops: Array<() => void> = []
    for (const rules of this.rules) {
      const stop = "fetch" in rules ? rules.fetch(one) : undefined
      if (stop === undefined) continue
      left++
      stops.push(stop)
    }
    // No source has one to fetch: the rules have changed meanwhile.
    queueMicrotask(one)
    return () => {
      left = Infinity
      for (const stop of stops) stop()
    }
  }

  /** What was fetched has been taken: from here on only what is kept for a while counts. */
  settle(): void {
    for (const rules of this.rules) if ("settle" in rules) rules.settle()
  }

  /** Answers that are remembered besides the last one. */
  get remembered(): number {
    return this.cache?.size ?? 0
  }

  private decide(authorization: Authorization, topic: string, qos: number, retain: boolean): Decision {
    if (this.subject.superuser) return superuser
    for (const rules of this.rules) {
      const decision = rules.publish(topic, qos, retain)
      if (decision !== undefined) return decision
    }
    return authorization.noMatch
  }

  private remember(topic: string, decision: Decision): void {
    if (this.cacheSize === 0) return
    this.cache ??= new Map()
    if (this.cache.size >= this.cacheSize) {
      for (const oldest of this.cache.keys()) {
        this.cache.delete(oldest)
        break
      }
    }
    this.cache.set(topic, decision)
  }

  /** The rules have changed, or are asked for the first time. */
  private renew(authorization: Authorization): void {
    this.authorization = authorization
    this.rules = this.subject.superuser ? noRules : authorization.rulesFor(this.subject)
    this.conditional = this.rules.some(({ conditional }) => conditional)
    this.cache = undefined
    this.lastDecision = undefined
  }
}
