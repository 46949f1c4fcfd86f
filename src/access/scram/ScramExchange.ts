// The server's end of one SCRAM exchange (RFC 5802, RFC 7677): two messages in, two out. A plain state machine; owned by a connection, used
// once. Invariants: nobody is let in but by a proof over the nonces of this exchange; whether a user is there does not show before it.
import { timingSafeEqual } from "node:crypto"
import { digest, hashOf, hmac, type ScramKeys, type ScramMechanism } from "./ScramKeys.ts"
import { type ClientFirst, readClientFinal, readClientFirst, textOf } from "./scramMessages.ts"

export type ScramStep =
  | { readonly _tag: "Challenge"; readonly data: Uint8Array }
  | { readonly _tag: "Success"; readonly userName: string; readonly data: Uint8Array }
  /** For the operator's log; the client learns that it failed. */
  | { readonly _tag: "Failure"; readonly reason: string; readonly userName: string | undefined }

/** Keys for any name, also for one that nobody has; `known` is false then. */
export type FindKeys = (userName: string) => { readonly keys: ScramKeys; readonly known: boolean }

export class ScramExchange {
  private readonly mechanism: ScramMechanism
  private readonly findKeys: FindKeys
  private readonly serverNonce: string
  private challenge: {
    readonly first: ClientFirst
    readonly serverFirst: string
    readonly nonce: string
    readonly keys: ScramKeys
    readonly known: boolean
  } | undefined
  private over = false

  constructor(mechanism: ScramMechanism, findKeys: FindKeys, serverNonce: string) {
    this.mechanism = mechanism
    this.findKeys = findKeys
    this.serverNonce = serverNonce
  }

  /** Takes the client's next message. After a success or a failure nothing is taken any more. */
  take(message: Uint8Array | undefined): ScramStep {
    if (this.over) return failure("the exchange is over")
    const text = message === undefined ? undefined : textOf(message)
    const step = text === undefined ? failure("no SCRAM message") : this.step(text)
    this.over = step._tag !== "Challenge"
    return step
  }

  private step(text: string): ScramStep {
    return this.challenge === undefined ? this.onFirst(text) : this.onFinal(text)
  }

  private onFirst(text: string): ScramStep {
    const first = readClientFirst(text)
    if (typeof first === "string") return failure(first)
    const { authorizationName, nonce: clientNonce, userName } = first
    // Nobody acts for somebody else.
    if (authorizationName !== undefined && authorizationName !== userName) {
      return failure("it wants to act under another name", userName)
    }
    const { keys, known } = this.findKeys(userName)
    const nonce = clientNonce + this.serverNonce
    const serverFirst = `r=${nonce},s=${Buffer.from(keys.salt).toString("base64")},i=${keys.iterations}`
    this.challenge = { first, serverFirst, nonce, keys, known }
    return { _tag: "Challenge", data: bytesOf(serverFirst) }
  }

  private onFinal(text: string): ScramStep {
    const { challenge } = this
    if (challenge === undefined) return failure("other-error")
    const { first: { bare, gs2Header, userName }, keys, known, nonce, serverFirst } = challenge
    const final = readClientFinal(text)
    if (typeof final === "string") return failure(final, userName)
    // Somebody between us has changed what the client said first: a downgrade.
    if (final.channelBinding !== gs2Header) return failure("channel-bindings-dont-match", userName)
    if (final.nonce !== nonce) return failure("wrong nonce", userName)
    const { name, size } = hashOf[this.mechanism]
    const message = `${bare},${serverFirst},${final.withoutProof}`
    const signature = hmac(name, keys.storedKey, message)
    if (final.proof.length !== size) return failure("invalid-proof", userName)
    const clientKey = final.proof.map((byte, index) => byte ^ (signature[index] ?? 0))
    const fits = timingSafeEqual(digest(name, clientKey), keys.storedKey)
    if (!fits || !known) return failure(known ? "invalid-proof" : "no such user with keys for this method", userName)
    const verifier = Buffer.from(hmac(name, keys.serverKey, message)).toString("base64")
    return { _tag: "Success", userName, data: bytesOf(`v=${verifier}`) }
  }
}

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf8"))

const failure = (reason: string, userName?: string): ScramStep => ({ _tag: "Failure", reason, userName })
