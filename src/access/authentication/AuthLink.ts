// What a link of the authentication chain is: it is asked who a client is and answers allow, deny or ignore. Plain types; each link is a file
// beside this one, the chain asks them in the configured order. Invariant: a link that fails or does not answer in time has not allowed anybody.
import type { Effect } from "effect"
import type { RuleFile } from "../rules/Rule.ts"

/** Who knocks. What the client says of itself, and what the door knows of it. */
export interface Credentials {
  readonly clientId: string
  /** It said none, and the server chose `clientId`. */
  readonly assigned?: boolean
  readonly userName: string | undefined
  readonly password: Uint8Array | undefined
  /** As the socket gives it. */
  readonly address: string
  readonly listener: string
  /** Of a certificate that was verified. */
  readonly certificateName: string | undefined
  readonly certificateSubject: string | undefined
  readonly protocolVersion: 3 | 4 | 5
}

export interface Allow {
  readonly _tag: "Allow"
  readonly superuser: boolean
  /** Who it is from here on, where the link knows better than the client; undefined: as it said. */
  readonly userName?: string | undefined
  readonly clientId?: string | undefined
  /** Rules of this client alone (JWT claims), asked before all sources. */
  readonly rules?: RuleFile | undefined
  /** The connection ends then, ms since 1970; undefined: never. */
  readonly expiresAt?: number | undefined
}

export interface Deny {
  readonly _tag: "Deny"
  /** 0x86 for a wrong password, 0x87 for who may not; what 3.x clients get follows from it. */
  readonly reasonCode: number
  /** For the operator's log; never a secret. */
  readonly reason: string
}

/** This link does not know the client: the next one is asked. */
export interface Ignore {
  readonly _tag: "Ignore"
}

export type Answer = Allow | Deny | Ignore

/** The answer of the chain. `by`: the link that gave it, for the log; "" where none did. */
export type Verdict = (Allow | Deny) & { readonly by: string }

export const ignore: Ignore = { _tag: "Ignore" }
export const allow: Allow = { _tag: "Allow", superuser: false }

/** A back end is away or answers nonsense: one line for the operator. What it means for the client is `authentication.on_failure`. */
export interface LinkFailure {
  readonly _tag: "LinkFailure"
  readonly message: string
}

export const linkFailure = (message: string): LinkFailure => ({ _tag: "LinkFailure", message })

/** Whom a link has let in, under the names that hold. */
export type LetIn = Pick<Credentials, "clientId" | "userName" | "address" | "listener" | "certificateName"> & {
  readonly superuser: boolean
}

export interface AuthLink {
  /** "password_file etc/passwd", "http", "postgres": names it in the log and in counters. */
  readonly name: string
  /** True: an allow that took a back end or much CPU; the chain may remember it for a bounded time. */
  readonly cacheable: boolean
  /** An answer at once, or an Effect that takes time. Never throws. */
  check(credentials: Credentials): Answer | Effect.Effect<Answer, LinkFailure>
  /**
   * After a reload: whether somebody whom a link of this type has let in may stay as what it is, at once and without a password. A link that
   * cannot tell leaves it out, and who is in stays.
   */
  stillAllows?(who: LetIn): boolean
}
