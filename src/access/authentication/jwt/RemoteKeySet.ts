// Public keys from a URL, kept for a while. Owned by one JWT link. A key that is known is used at once, also while the set is fetched anew;
// a key that is not known has the set fetched, at most once in `cooldownMillis`, whoever asks and however often. Invariants: one request at
// a time; keys older than `maxAgeMillis` verify nothing.
import { Clock, Deferred, Effect } from "effect"
import type { JWSHeaderParameters } from "jose"
import { type LinkFailure, linkFailure } from "../AuthLink.ts"
import { FixedKeySet, type KeySet, NoKey, parseKeySet, type VerifyingKey } from "./KeySet.ts"

export interface RemoteKeySetOptions {
  /** The document; a text: why there is none, in a few words. */
  readonly fetch: Effect.Effect<string, string>
  readonly refreshMillis: number
  readonly cooldownMillis: number
  readonly maxAgeMillis: number
  readonly onFetched: (keys: number) => void
  readonly onFailure: (message: string) => void
}

export class RemoteKeySet implements KeySet {
  private readonly options: RemoteKeySetOptions
  private keys: FixedKeySet | undefined
  private fetchedAt = -Infinity
  private triedAt = -Infinity
  private failure = ""
  private underWay: Deferred.Deferred<void> | undefined

  constructor(options: RemoteKeySetOptions) {
    this.options = options
  }

  keyFor(header: JWSHeaderParameters): Effect.Effect<VerifyingKey, NoKey | LinkFailure> {
    return Effect.gen({ self: this }, function* () {
      const { cooldownMillis, maxAgeMillis, refreshMillis } = this.options
      const now = yield* Clock.currentTimeMillis
      if (now - this.fetchedAt > maxAgeMillis) this.keys = undefined
      const mayTry = this.underWay !== undefined || now - this.triedAt >= cooldownMillis
      const { keys } = this
      if (keys !== undefined) {
        if (mayTry && now - this.fetchedAt >= refreshMillis) yield* Effect.forkDetach(this.refresh(now))
        const known = yield* Effect.result(keys.keyFor(header))
        if (known._tag === "Success") return known.success
        // A new key, or none of theirs: only they can say.
        if (!mayTry) return yield* known.failure
      }
      if (mayTry) yield* this.refresh(now)
      if (this.keys === undefined) return yield* Effect.fail(linkFailure(`no keys from jwks_url: ${this.failure}`))
      return yield* this.keys.keyFor(header)
    })
  }

  /** Waits for the request that is under way, or makes one, which goes on when nobody waits for it any more. */
  private refresh(now: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.underWay !== undefined) return Deferred.await(this.underWay)
      const underWay = this.underWay = Deferred.makeUnsafe<void>()
      this.triedAt = now
      const done = Effect.suspend(() => {
        this.underWay = undefined
        return Deferred.succeed(underWay, undefined)
      })
      return Effect.andThen(Effect.forkDetach(Effect.ensuring(this.fetch(now), done)), Deferred.await(underWay))
    })
  }

  private fetch(now: number): Effect.Effect<void> {
    const { fetch, onFailure, onFetched } = this.options
    const failed = (message: string) =>
      Effect.sync(() => {
        this.failure = message
        onFailure(message)
      })
    return Effect.matchEffect(fetch, {
      onFailure: failed,
      onSuccess: (text) => {
        const set = parseKeySet(text)
        if (set === undefined) return failed("the answer is no JWKS")
        return Effect.sync(() => {
          this.keys = new FixedKeySet(set)
          this.fetchedAt = now
          this.failure = ""
          onFetched(set.keys.length)
        })
      }
    })
  }
}
