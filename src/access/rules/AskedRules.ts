// The rules of one client that are not there to be read: a service is asked for each action and topic, and its answers are kept for a while.
// Owned by the Permissions of one connection. Invariants: an answer is never older than its time; what is kept is bounded; what somebody
// waits for is kept until it was taken, whatever the bound.
import type { Action, Decision, Subject } from "./Rule.ts"

export interface RuleQuestion {
  readonly action: Action
  /** A filter without `$share/…` and the like where the action is "subscribe". */
  readonly topic: string
  readonly qos: number
  readonly retain: boolean
}

export interface FetchedDecision {
  /** Undefined: the source leaves it to the next one. */
  readonly decision: Decision | undefined
  /** False: it was no answer, and the next question is asked anew. */
  readonly keeps: boolean
}

/** A source of rules that is asked. One object for all clients. */
export interface AskedSource {
  readonly file: string
  /** Answers each of them by `answered`, in any order, then calls `done`; returns what stops it. */
  fetch(
    subject: Subject,
    questions: ReadonlyArray<RuleQuestion>,
    answered: (question: RuleQuestion, answer: FetchedDecision) => void,
    done: () => void
  ): () => void
  /** ms, of the node's clock. */
  now(): number
  /** Answers a connection keeps; 0: none. */
  readonly cacheSize: number
  /** ms; 0: none is kept. */
  readonly cacheMillis: number
}

/** Stands for an answer that has to be fetched first: whoever gets it calls `Permissions.fetch` and asks again. */
export const awaited: Decision = { allowed: false, file: undefined, line: 0, by: "an answer that is still to come" }

interface Kept {
  readonly decision: Decision | undefined
  readonly until: number
}

export class AskedRules {
  /** Nothing is remembered above it: it has its own time and its own bound. */
  readonly conditional = true
  private readonly source: AskedSource
  private readonly subject: Subject
  private readonly kept = new Map<string, Kept>()
  private readonly taken = new Map<string, Decision | undefined>()
  private readonly wanted = new Map<string, RuleQuestion>()

  constructor(source: AskedSource, subject: Subject) {
    this.source = source
    this.subject = subject
  }

  /** Undefined: the next source is asked. `awaited`: the answer has to be fetched. */
  publish(topic: string, qos: number, retain: boolean): Decision | undefined {
    return this.decide("publish", topic, qos, retain)
  }

  subscribe(filter: string, qos: number): Decision | undefined {
    return this.decide("subscribe", filter, qos, false)
  }

  /** What was asked in vain is fetched; undefined: nothing was. */
  fetch(done: () => void): (() => void) | undefined {
    if (this.wanted.size === 0) return undefined
    const questions = [...this.wanted.values()]
    this.wanted.clear()
    return this.source.fetch(this.subject, questions, (question, answer) => this.keep(question, answer), done)
  }

  /** The answers that were waited for have been taken. */
  settle(): void {
    this.taken.clear()
  }

  /** Answers that are kept. */
  get remembered(): number {
    return this.kept.size
  }

  private decide(action: Action, topic: string, qos: number, retain: boolean): Decision | undefined {
    const key = keyOf(action, topic, qos, retain)
    const kept = this.kept.get(key)
    if (kept !== undefined && kept.until > this.source.now()) return kept.decision
    if (this.taken.has(key)) return this.taken.get(key)
    this.wanted.set(key, { action, topic, qos, retain })
    return awaited
  }

  private keep({ action, qos, retain, topic }: RuleQuestion, { decision, keeps }: FetchedDecision): void {
    const { cacheMillis, cacheSize } = this.source
    const key = keyOf(action, topic, qos, retain)
    this.taken.set(key, decision)
    if (!keeps || cacheMillis === 0 || cacheSize === 0) return
    this.kept.delete(key)
    if (this.kept.size >= cacheSize) {
      for (const oldest of this.kept.keys()) {
        this.kept.delete(oldest)
        break
      }
    }
    this.kept.set(key, { decision, until: this.source.now() + cacheMillis })
  }
}

const keyOf = (action: Action, topic: string, qos: number, retain: boolean): string =>
  `${action === "publish" ? "p" : "s"}${qos}${retain ? "r" : "-"}${topic}`
