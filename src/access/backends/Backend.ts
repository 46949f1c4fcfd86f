// What a database is to the access rules: it finds a client's user and a client's rules. One file a kind of database beside this one,
// used by DatabaseLink (who is it) and by ClientRuleSources (what may it do). Invariant: what a client says reaches a database as a
// parameter or an argument, never as part of a statement.
import type { Effect } from "effect"
import type { Names } from "./placeholders.ts"
import type { AclRow } from "./rowRules.ts"

export interface UserRow {
  /** As it is stored: plain or hashed, by `password_hash`. Null: this user has none. Undefined: the query gives no such column. */
  readonly password: string | null | undefined
  readonly salt: string | null
  /** The name as the database writes it, where the query gives it. */
  readonly userName: string | undefined
}

/**
 * "away": not reached, no answer, or the connection was lost. "refused": it answered, and said no to what was asked: a fault in
 * the settings or in its tables. "busy": as many requests as may wait were waiting. One line, without secrets.
 */
export interface BackendFailure {
  readonly _tag: "BackendFailure"
  readonly kind: "away" | "refused" | "busy"
  readonly message: string
}

export const backendFailure = (kind: BackendFailure["kind"], message: string): BackendFailure => ({
  _tag: "BackendFailure",
  kind,
  message
})

export interface Backend {
  /** "postgres" */
  readonly name: string
  /** The password stands in the query, so that whom it finds has given the right one. */
  readonly judgesPassword: boolean
  /** Undefined: it knows no such user. */
  findUser(names: Names): Effect.Effect<UserRow | undefined, BackendFailure>
  isSuperuser(names: Names): Effect.Effect<boolean, BackendFailure>
  /** In the order in which they are asked. */
  findRules(names: Names): Effect.Effect<ReadonlyArray<AclRow>, BackendFailure>
}
