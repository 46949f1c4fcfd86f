// The chain: asks the links in their order who a client is, and says who it is or why it stays out. One object a set of links; a reload
// makes a new one and puts it in place of the old. Invariants: what can be answered at once is answered within the call; whom no link
// allows is not let in; a link that fails, throws or takes too long has allowed nobody.
import { Effect } from "effect"
import type { AuthenticationSettings } from "../../config/Settings.ts"
import type { Counters } from "../../metrics/Counters.ts"
import type { EventLog } from "../../metrics/EventLog.ts"
import { ReasonCode } from "../../mqtt/ReasonCode.ts"
import { type Answer, type AuthLink, type Credentials, type Deny, ignore, linkFailure } from "./AuthLink.ts"
import type { LetIn, LinkFailure, Verdict } from "./AuthLink.ts"
import { credentialsKey } from "./credentialsKey.ts"
import type { FailureGuard } from "./FailureGuard.ts"
import { VerifiedCache } from "./VerifiedCache.ts"

export type { Verdict } from "./AuthLink.ts"

/** The answer takes time: it comes by `done`, once, unless it is cancelled. */
export interface Awaited {
  readonly _tag: "Awaited"
  readonly cancel: () => void
}

export interface AuthenticationOptions
  extends Pick<AuthenticationSettings, "onFailure" | "timeoutMillis" | "maxWaiting" | "cacheSize" | "cacheTtlMillis"> {
  /** Why nobody came in whom no link knows: names the settings to look at. */
  readonly nobodyKnows: (credentials: Credentials) => string
  readonly counters: Counters
  readonly log: EventLog
  /** Of the node: outlives this chain. */
  readonly guard: FailureGuard
  /** ms since 1970. */
  readonly now: () => number
  /** Runs it beside the caller; gives what stops it. */
  readonly fork: (effect: Effect.Effect<void>) => () => void
}

/** The answer of a link is still to come. */
interface Asked {
  readonly _tag: "Asked"
  readonly index: number
  readonly answer: Effect.Effect<Answer, LinkFailure>
}

/** A client has one connection: more that wait with its client id are somebody's guesses. */
const waitingPerClientId = 2

export class Authentication {
  private readonly links: ReadonlyArray<AuthLink>
  private readonly options: AuthenticationOptions
  private waiting = 0
  private readonly waitingFor = new Map<string, number>()
  private whenIdle: (() => void) | undefined
  /** Undefined: nothing here is worth to be remembered. */
  private readonly cache: VerifiedCache | undefined
  private readonly cacheable: ReadonlySet<string>

  constructor(links: ReadonlyArray<AuthLink>, options: AuthenticationOptions) {
    this.links = links
    this.options = options
    this.cacheable = new Set(links.filter(({ cacheable }) => cacheable).map(({ name }) => name))
    const cache = new VerifiedCache(options.cacheSize, options.cacheTtlMillis)
    this.cache = this.cacheable.size === 0 || cache.isOff ? undefined : cache
  }

  /** Clients whose answer is awaited. */
  get awaited(): number {
    return this.waiting
  }

  /** Another one is in force: `idle` is called when nobody waits for this one any more. */
  retire(idle: () => void): void {
    this.whenIdle = idle
    if (this.waiting === 0) idle()
  }

  /** Users have changed behind a link: nobody comes in for having been in. */
  forget(): void {
    this.cache?.clear()
  }

  /** Whether somebody whom the link `by` has let in, of this chain or of one before it, may stay. */
  stillAllows(by: string, who: LetIn): boolean {
    const type = typeOf(by)
    const link = this.links.find(({ name }) => typeOf(name) === type)
    return link !== undefined && link.stillAllows?.(who) !== false
  }

  /** `done` is called only where `Awaited` was returned. */
  ask(credentials: Credentials, done: (verdict: Verdict) => void): Verdict | Awaited {
    const known = this.remembered(credentials)
    if (known !== undefined) return known
    const paused = credentials.password === undefined ? undefined : this.pauseOf(credentials)
    if (paused !== undefined) return paused
    const first = this.askFrom(0, credentials)
    if (first._tag !== "Asked") return this.concluded(credentials, first)
    const { counters, fork, maxWaiting } = this.options
    const { clientId } = credentials
    const others = this.waitingFor.get(clientId) ?? 0
    if (others >= waitingPerClientId) {
      counters.authentications_busy_total++
      return this.concluded(credentials, denied(ReasonCode.ServerBusy, "others with this client id wait already"))
    }
    if (this.waiting >= maxWaiting) {
      counters.authentications_busy_total++
      return this.concluded(
        credentials,
        denied(ReasonCode.ServerBusy, "authentication.max_waiting clients wait already")
      )
    }
    this.waiting++
    this.waitingFor.set(clientId, others + 1)
    let over = false
    const settle = (): boolean => {
      if (over) return false
      over = true
      this.waiting--
      const left = (this.waitingFor.get(clientId) ?? 1) - 1
      if (left === 0) this.waitingFor.delete(clientId)
      else this.waitingFor.set(clientId, left)
      if (this.waiting === 0) this.whenIdle?.()
      return true
    }
    const stop = fork(Effect.map(this.askRest(first, credentials), (verdict) => {
      if (settle()) done(this.concluded(credentials, verdict))
    }))
    return {
      _tag: "Awaited",
      cancel: () => {
        if (settle()) stop()
      }
    }
  }

  /** The links from `index` on, as far as they answer at once. */
  private askFrom(index: number, credentials: Credentials): Verdict | Asked {
    for (let i = index; i < this.links.length; i++) {
      const link = this.links[i]
      if (link === undefined) continue
      const answer = this.check(link, credentials)
      if (Effect.isEffect(answer)) return { _tag: "Asked", index: i, answer }
      if (answer._tag !== "Ignore") return { ...answer, by: link.name }
    }
    const { nobodyKnows } = this.options
    // [MQTT5-3.1.4-2] [MQTT-3.1.4-2]
    return credentials.userName === undefined
      ? denied(ReasonCode.NotAuthorized, nobodyKnows(credentials))
      : denied(ReasonCode.BadUserNameOrPassword, nobodyKnows(credentials))
  }

  private askRest(first: Asked, credentials: Credentials): Effect.Effect<Verdict> {
    return Effect.gen({ self: this }, function* () {
      let asked = first
      for (;;) {
        const by = this.links[asked.index]?.name ?? ""
        const answer = yield* this.inTime(by, asked.answer)
        if (answer._tag !== "Ignore") return { ...answer, by }
        const next = this.askFrom(asked.index + 1, credentials)
        if (next._tag !== "Asked") return next
        asked = next
      }
    })
  }

  private inTime(by: string, answer: Effect.Effect<Answer, LinkFailure>): Effect.Effect<Answer> {
    const { timeoutMillis } = this.options
    return answer.pipe(
      Effect.timeoutOrElse({
        duration: timeoutMillis,
        orElse: () => Effect.fail(linkFailure("no answer within authentication.timeout"))
      }),
      Effect.catchDefect((defect) => Effect.fail(linkFailure(`a fault of ours: ${String(defect)}`))),
      Effect.catch((failure) => Effect.sync(() => this.failed(by, failure.message)))
    )
  }

  private check(link: AuthLink, credentials: Credentials): Answer | Effect.Effect<Answer, LinkFailure> {
    try {
      return link.check(credentials)
    } catch (defect) {
      return this.failed(link.name, `a fault of ours: ${String(defect)}`)
    }
  }

  private failed(by: string, message: string): Answer {
    const { counters, log, onFailure } = this.options
    counters.authentication_failures_total++
    log.warning("authentication link failed", { link: by, reason: message, on_failure: onFailure })
    if (onFailure === "ignore") return ignore
    return denied(ReasonCode.ServerUnavailable, `${by} cannot answer (authentication.on_failure = "deny")`)
  }

  /** Whether it is not listened to now, for what was tried before; counted. */
  pauseOf(credentials: Credentials): Verdict & Deny | undefined {
    const { counters, guard, now } = this.options
    const paused = guard.pauseOf(credentials, now())
    if (paused === undefined) return undefined
    counters.authentications_paused_total++
    counters.authentications_denied_total++
    return denied(ReasonCode.ServerBusy, `too many wrong passwords: authentication.failures_per_${paused}`)
  }

  /** It has failed; `guess` is the same for the same attempt, and tells nothing of it. */
  guessed(credentials: Credentials, guess: string): void {
    const { guard, log, now } = this.options
    for (const { by, key } of guard.failed(credentials, guess, now())) {
      log.warning("not listened to for a while: too many wrong passwords", {
        [by]: key,
        limit: `authentication.failures_per_${by}`
      })
    }
  }

  private remembered(credentials: Credentials): Verdict | undefined {
    const { cache, options: { counters, now } } = this
    if (cache === undefined || cache.size === 0 || credentials.password === undefined) return undefined
    const found = cache.get(credentialsKey(credentials), now())
    if (found === undefined) return undefined
    counters.authentication_cache_hits_total++
    counters.authentications_allowed_total++
    return found
  }

  /** Counted, and remembered where it is worth it. */
  private concluded(credentials: Credentials, verdict: Verdict): Verdict {
    const { counters, guard, now } = this.options
    if (verdict._tag === "Allow") {
      counters.authentications_allowed_total++
      guard.succeeded(credentials)
      if (this.cache !== undefined && this.cacheable.has(verdict.by) && credentials.password !== undefined) {
        this.cache.put(credentialsKey(credentials), verdict, now())
      }
      return verdict
    }
    counters.authentications_denied_total++
    if (credentials.password !== undefined && isGuess.has(verdict.reasonCode)) {
      this.guessed(credentials, credentialsKey(credentials))
    }
    return verdict
  }
}

/** What somebody is told who has guessed wrong. */
const isGuess: ReadonlySet<number> = new Set([ReasonCode.BadUserNameOrPassword, ReasonCode.NotAuthorized])
/** Of the name of a link: "password_file etc/passwd". */
const typeOf = (name: string): string => name.split(" ")[0] ?? ""

const denied = (reasonCode: number, reason: string): Deny & { readonly by: string } => ({
  _tag: "Deny",
  reasonCode,
  reason,
  by: ""
})

/** Where the chain in force is found; a reload replaces it. */
export interface AuthenticationInForce {
  chain: Authentication
}
