// One HTTP service that is asked about clients: at most so many requests at a time, each with a time limit and a bounded answer, and a breaker
// when it is away. Shared by the link and the rule source that ask it. Invariants: no redirect is followed; what an answer says never
// reaches the log; a request that fails has answered nothing.
import { Clock, Effect, Exit, Semaphore, Stream } from "effect"
import { FetchHttpClient, HttpClient, HttpClientError, type HttpClientRequest } from "effect/http"
import type { Counters } from "../../metrics/Counters.ts"
import { fetchTrusting, type Trusting } from "../../platform/fetchAuthority.ts"
import { type LinkFailure, linkFailure } from "../authentication/AuthLink.ts"
import { Breaker, type BreakerOptions } from "./Breaker.ts"

export interface HttpBackendOptions {
  /** "auth_http": names it in messages. */
  readonly name: string
  /** PEM; undefined: the system's authorities. */
  readonly ca: string | undefined
  readonly timeoutMillis: number
  /** Requests at a time. */
  readonly connections: number
  /** Requests that wait for one of these; the next one fails at once. */
  readonly waiting: number
  /** Bytes of an answer's body. */
  readonly maxAnswer: number
  readonly counters: Counters
  readonly breaker: BreakerOptions
}

export interface HttpAnswer {
  readonly status: number
  readonly isJson: boolean
  readonly body: string
}

export class HttpBackend {
  private readonly options: HttpBackendOptions
  private readonly client: HttpClient.HttpClient
  private readonly trusting: Trusting
  private readonly breaker: Breaker
  private readonly permits: Semaphore.Semaphore
  private asked = 0
  private retired = false

  private constructor(options: HttpBackendOptions, client: HttpClient.HttpClient, trusting: Trusting) {
    this.options = options
    this.client = client
    this.trusting = trusting
    this.breaker = new Breaker(options.breaker)
    this.permits = Semaphore.makeUnsafe(options.connections)
  }

  /** Fails with a line for the operator where the CA is none. What it holds open goes with the scope, once nobody waits for an answer. */
  static readonly make = Effect.fnUntraced(function* (options: HttpBackendOptions) {
    const trusting = yield* Effect.try({
      try: () => fetchTrusting(options.ca),
      catch: () => `${options.name}.ca: no certificate authority in it`
    })
    const client = yield* Effect.provide(HttpClient.HttpClient, FetchHttpClient.layer)
    const backend = new HttpBackend(options, client, trusting)
    yield* Effect.addFinalizer(() => Effect.sync(() => backend.retire()))
    return backend
  })

  send(request: HttpClientRequest.HttpClientRequest): Effect.Effect<HttpAnswer, LinkFailure> {
    return Effect.suspend(() => {
      const { connections, counters, name, waiting } = this.options
      if (this.asked >= connections + waiting) {
        counters.http_backend_refused_total++
        return Effect.fail(linkFailure(`${name}: too many requests are waiting`))
      }
      this.asked++
      const left = Effect.sync(() => {
        this.asked--
        this.closeIdle()
      })
      return Effect.ensuring(this.permits.withPermits(1)(this.guarded(request)), left)
    })
  }

  private retire(): void {
    this.retired = true
    this.closeIdle()
  }

  private closeIdle(): void {
    if (!this.retired || this.asked > 0) return
    this.retired = false
    this.trusting.close()
  }

  private guarded(request: HttpClientRequest.HttpClientRequest): Effect.Effect<HttpAnswer, LinkFailure> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const { breaker, options: { counters, name, timeoutMillis } } = this
      if (!breaker.admits(now)) {
        counters.http_backend_refused_total++
        return Effect.fail(linkFailure(`${name}: given up for a while`))
      }
      counters.http_backend_requests_total++
      const answered = Effect.timeoutOrElse(this.exchange(request), {
        duration: timeoutMillis,
        orElse: () => Effect.fail(`no answer in ${timeoutMillis} ms`)
      })
      return Effect.onExit(answered, (exit) =>
        Effect.map(Clock.currentTimeMillis, (then) => {
          if (Exit.isSuccess(exit)) return breaker.succeeded()
          const [reason] = exit.cause.reasons.filter((one) => one._tag === "Fail")
          if (reason === undefined) return breaker.abandoned()
          counters.http_backend_failures_total++
          breaker.failedWith(reason.error, then)
        })).pipe(Effect.mapError((reason) => linkFailure(`${name}: ${reason}`)))
    })
  }

  /** A server that says it cannot has not answered. */
  private exchange(request: HttpClientRequest.HttpClientRequest): Effect.Effect<HttpAnswer, string> {
    const { client, options: { maxAnswer }, trusting } = this
    return client.execute(request).pipe(
      Effect.flatMap((response) => {
        const { status } = response
        if (status >= 500 || status < 200 || (status >= 300 && status < 400) || status === 408 || status === 429) {
          return Effect.fail(`status ${status}`)
        }
        const isJson = /^application\/(?:[\w.-]+\+)?json\b/i.test(response.headers["content-type"] ?? "")
        const text = Effect.catch(
          textOf(response.stream, maxAnswer),
          (error) =>
            typeof error !== "string" && error.reason._tag === "EmptyBodyError"
              ? Effect.succeed("")
              : Effect.fail(error)
        )
        return Effect.map(text, (body) => ({ status, isJson, body }))
      }),
      Effect.provideService(FetchHttpClient.RequestInit, { ...trusting.init, redirect: "manual" }),
      Effect.provideService(HttpClient.TracerPropagationEnabled, false),
      Effect.mapError((error) => typeof error === "string" ? error : faultOf(error))
    )
  }
}

const textOf = <E>(stream: Stream.Stream<Uint8Array, E>, atMost: number): Effect.Effect<string, E | string> =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    let length = 0
    return Effect.andThen(
      Stream.runForEach(stream, (chunk) => {
        length += chunk.length
        if (length > atMost) return Effect.fail(`an answer of more than ${atMost} bytes`)
        chunks.push(chunk)
        return Effect.void
      }),
      Effect.sync(() => Buffer.concat(chunks).toString("utf8"))
    )
  })

/** What went wrong without where it was sent: a URL may carry a secret. */
const faultOf = ({ reason }: HttpClientError.HttpClientError): string => {
  const cause = reason._tag === "TransportError" ? reason.cause : undefined
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined
  return typeof code === "string" && /^[A-Z0-9_]+$/i.test(code) ? code : `no connection (${reason._tag})`
}
