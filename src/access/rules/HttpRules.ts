// The rule source "http": the original's acl_req. A service is asked for each action, topic, QoS and RETAIN. One object for all clients, on
// the back end of `[auth_http]`. Invariants: what a service does not answer is `auth_http.acl_on_failure`, and is not kept; one client
// has no more than a few requests under way.
import { Effect } from "effect"
import type { AuthHttpSettings, AuthorizationSettings } from "../../config/Settings.ts"
import type { Counters } from "../../metrics/Counters.ts"
import type { EventLog } from "../../metrics/EventLog.ts"
import { verdictOf } from "../http/httpAnswer.ts"
import type { HttpBackend } from "../http/HttpBackend.ts"
import type { RequestTemplate } from "../http/requestTemplate.ts"
import type { AskedSource, FetchedDecision, RuleQuestion } from "./AskedRules.ts"
import type { Decision, Subject } from "./Rule.ts"

/** Of one client, for the filters of one SUBSCRIBE. */
const atATime = 4

/** What a source that is asked may use of the node. */
export interface SourceParts {
  readonly log: EventLog
  readonly counters: Counters
  readonly now: () => number
  /** Runs it beside the caller; gives what stops it. */
  readonly fork: (effect: Effect.Effect<void>) => () => void
}

type Caching = Pick<AuthorizationSettings, "cacheSize" | "cacheTtlMillis">

export class HttpRules implements AskedSource {
  readonly file = "http"
  readonly cacheSize: number
  readonly cacheMillis: number
  private readonly backend: HttpBackend
  private readonly template: RequestTemplate
  private readonly onFailure: AuthHttpSettings["aclOnFailure"]
  private readonly parts: SourceParts

  constructor(
    backend: HttpBackend,
    template: RequestTemplate,
    onFailure: AuthHttpSettings["aclOnFailure"],
    { cacheSize, cacheTtlMillis }: Caching,
    parts: SourceParts
  ) {
    this.backend = backend
    this.template = template
    this.onFailure = onFailure
    this.cacheSize = cacheSize
    this.cacheMillis = cacheTtlMillis
    this.parts = parts
  }

  now(): number {
    return this.parts.now()
  }

  fetch(
    subject: Subject,
    questions: ReadonlyArray<RuleQuestion>,
    answered: (question: RuleQuestion, answer: FetchedDecision) => void,
    done: () => void
  ): () => void {
    const each = Effect.forEach(
      questions,
      (question) => Effect.map(this.ask(subject, question), (answer) => answered(question, answer)),
      { concurrency: atATime, discard: true }
    )
    return this.parts.fork(Effect.map(each, done))
  }

  private ask(subject: Subject, question: RuleQuestion): Effect.Effect<FetchedDecision> {
    return Effect.suspend(() => {
      const request = this.template.fill(valuesOf(subject, question))
      if (request === undefined) return Effect.succeed({ decision: notInPath, keeps: true })
      return Effect.match(this.backend.send(request), {
        onFailure: ({ message }) => this.failed(message),
        onSuccess: (answer): FetchedDecision => {
          const verdict = verdictOf(answer)
          if (typeof verdict === "string") return this.failed(`auth_http: ${verdict}`)
          return { decision: decisions[verdict.result], keeps: true }
        }
      })
    }).pipe(
      // Its client waits for an answer, whatever happens here.
      Effect.catchDefect((defect) => Effect.sync(() => this.failed(`a fault of ours: ${String(defect)}`)))
    )
  }

  private failed(reason: string): FetchedDecision {
    const { onFailure, parts } = this
    parts.log.warning("access rules: no answer", { source: this.file, reason, acl_on_failure: onFailure })
    return { decision: onFailure === "deny" ? cannotAnswer : undefined, keeps: false }
  }
}

const decided = (allowed: boolean, by: string): Decision => ({ allowed, file: undefined, line: 0, by })

const decisions: { readonly [Result in "allow" | "deny" | "ignore"]: Decision | undefined } = {
  allow: decided(true, "http"),
  deny: decided(false, "http"),
  ignore: undefined
}
const cannotAnswer: Decision = {
  ...decided(false, `http cannot answer (auth_http.acl_on_failure = "deny")`),
  unanswered: true
}
const notInPath = decided(false, "http: a name or topic that cannot stand in the path")

const valuesOf = (subject: Subject, { action, qos, retain, topic }: RuleQuestion) => ({
  clientId: subject.clientId,
  userName: subject.userName ?? "",
  password: "",
  address: subject.address ?? "",
  listener: subject.listener ?? "",
  certificateName: subject.certificateName ?? "",
  certificateSubject: "",
  topic,
  access: action === "subscribe" ? "1" : "2",
  qos: String(qos),
  retain: String(retain)
})
