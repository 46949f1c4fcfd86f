// The rules of one client that lie in a database: all of them are fetched when the client first needs one, kept as long as it is connected,
// and fetched again after a reload and, by setting, after a time. One FetchedSource for all clients, one FetchedRules a connection.
// Invariants: nothing is decided before they are there; where they cannot be fetched, those that were there stay, and without any
// it is `acl_on_failure`; one client has one fetch under way.
import { Effect, Semaphore } from "effect"
import type { ClientRules } from "./ClientRules.ts"
import { awaited } from "./AskedRules.ts"
import type { SourceParts } from "./HttpRules.ts"
import type { Decision, RuleFile, Subject } from "./Rule.ts"
import { RuleSet } from "./RuleSet.ts"

/** ms: for so long nothing is asked again where there was no answer; longer for who has rules from before. */
const askedAgainMillis = 1_000
const renewedAgainMillis = 10_000

interface Known {
  /** Who fetched it: after a reload it is another source. */
  readonly by: FetchedSource
  /** A decision: none were fetched. Undefined: the next source is asked. */
  readonly answer: ClientRules | Decision | undefined
  readonly until: number
}

/** What is known of those who are connected; from one reload to the next. */
export type KnownRules = WeakMap<Subject, Known>

export interface FetchedSourceOptions {
  /** "postgres" */
  readonly name: string
  /** In the order in which they are asked. */
  readonly find: (subject: Subject) => Effect.Effect<RuleFile, { readonly message: string }>
  readonly onFailure: "deny" | "ignore"
  /** Infinity: only after a reload. */
  readonly refreshMillis: number
  /** At a time; more of them wait. */
  readonly fetches: number
  readonly known: KnownRules
  readonly parts: SourceParts
}

export class FetchedSource {
  readonly file: string
  private readonly options: FetchedSourceOptions
  private readonly places: Semaphore.Semaphore
  private readonly waiting = new Map<Subject, Set<() => void>>()
  private readonly cannotAnswer: Decision | undefined

  constructor(options: FetchedSourceOptions) {
    const { fetches, name, onFailure } = options
    this.file = name
    this.options = options
    this.places = Semaphore.makeUnsafe(fetches)
    this.cannotAnswer = onFailure === "ignore" ? undefined : {
      allowed: false,
      file: undefined,
      line: 0,
      unanswered: true,
      by: `${name} cannot answer (auth_${name}.acl_on_failure = "deny")`
    }
  }

  for(subject: Subject): FetchedRules {
    return new FetchedRules(this, subject)
  }

  /** Undefined: they have to be fetched. */
  current(subject: Subject): Known | undefined {
    const { known, parts } = this.options
    const found = known.get(subject)
    return found !== undefined && found.by === this && parts.now() < found.until ? found : undefined
  }

  /** `done` is called when there is an answer, never within this call. Returns what stops that. */
  fetch(subject: Subject, done: () => void): () => void {
    const present = this.waiting.get(subject)
    const waiting = present ?? new Set()
    waiting.add(done)
    if (present === undefined) {
      this.waiting.set(subject, waiting)
      const { find, parts } = this.options
      const found = Effect.andThen(Effect.yieldNow, this.places.withPermits(1)(Effect.suspend(() => find(subject))))
        .pipe(
          Effect.catchDefect((defect) => Effect.fail({ message: `a fault of ours: ${String(defect)}` })),
          Effect.match({
            onFailure: ({ message }) => this.failed(subject, message),
            onSuccess: (file) => this.keep(subject, new RuleSet(file).for(subject), this.options.refreshMillis)
          })
        )
      parts.fork(Effect.map(found, () => {
        this.waiting.delete(subject)
        for (const one of waiting) one()
      }))
    }
    return () => void waiting.delete(done)
  }

  private keep(subject: Subject, answer: Known["answer"], millis: number): void {
    const { known, parts } = this.options
    known.set(subject, { by: this, answer, until: parts.now() + millis })
  }

  private failed(subject: Subject, reason: string): void {
    const { known, onFailure, parts, refreshMillis } = this.options
    const before = known.get(subject)?.answer
    const hasRules = before !== undefined && !("allowed" in before)
    const field = { source: this.file, client_id: subject.clientId, reason }
    if (hasRules) parts.log.warning("access rules not fetched again: those from before stay", field)
    else parts.log.warning("access rules not fetched", { ...field, acl_on_failure: onFailure })
    if (hasRules) this.keep(subject, before, Math.min(refreshMillis, renewedAgainMillis))
    else this.keep(subject, this.cannotAnswer, askedAgainMillis)
  }
}

export class FetchedRules {
  /** Nothing is remembered above it: they are fetched again at times. */
  readonly conditional = true
  private readonly source: FetchedSource
  private readonly subject: Subject
  private wanted = false

  constructor(source: FetchedSource, subject: Subject) {
    this.source = source
    this.subject = subject
  }

  /** Undefined: the next source is asked. `awaited`: the rules have to be fetched. */
  publish(topic: string, qos: number, retain: boolean): Decision | undefined {
    const known = this.known()
    if (known === undefined) return awaited
    const { answer } = known
    return answer === undefined || "allowed" in answer ? answer : answer.publish(topic, qos, retain)
  }

  subscribe(filter: string, qos: number, denyCovers: boolean): Decision | undefined {
    const known = this.known()
    if (known === undefined) return awaited
    const { answer } = known
    return answer === undefined || "allowed" in answer ? answer : answer.subscribe(filter, qos, denyCovers)
  }

  /** Undefined: nothing was asked in vain. */
  fetch(done: () => void): (() => void) | undefined {
    if (!this.wanted) return undefined
    this.wanted = false
    return this.source.fetch(this.subject, done)
  }

  settle(): void {}

  private known(): Known | undefined {
    const known = this.source.current(this.subject)
    if (known === undefined) this.wanted = true
    return known
  }
}
