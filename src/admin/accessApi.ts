// The part of the management API about who may come in and what they may do: the users and the rules that the node keeps itself. Put into
// Api.ts. Invariant: no answer has anything of a password in it.
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { NotFound, Refused } from "./faults.ts"

export const KeptUser = Schema.Struct({
  name: Schema.String,
  superuser: Schema.Boolean,
  /** Methods of enhanced authentication that it has keys for. */
  scram: Schema.Array(Schema.String)
})
export const UsersPage = Schema.Struct({ total: Schema.Int, users: Schema.Array(KeptUser) })
export const NewUser = Schema.Struct({
  name: Schema.String,
  password: Schema.String,
  superuser: Schema.optional(Schema.Boolean)
})

export type KeptUser = typeof KeptUser.Type
export type UsersPage = typeof UsersPage.Type
export type NewUser = typeof NewUser.Type

export class UsersApi extends HttpApiGroup.make("users").add(
  HttpApiEndpoint.get("list", "/", {
    query: { limit: Schema.optional(Schema.FiniteFromString), after: Schema.optional(Schema.String) },
    success: UsersPage
  }),
  HttpApiEndpoint.post("add", "/", { payload: NewUser, success: HttpApiSchema.NoContent, error: Refused }),
  HttpApiEndpoint.put("password", "/:name/password", {
    params: { name: Schema.String },
    payload: Schema.Struct({ password: Schema.String, kick: Schema.optional(Schema.Boolean) }),
    success: HttpApiSchema.NoContent,
    error: [NotFound, Refused]
  }),
  HttpApiEndpoint.delete("remove", "/:name", {
    params: { name: Schema.String },
    /** Who is connected as this user is sent away. */
    query: { kick: Schema.optional(Schema.Literals(["true", "false"])) },
    success: HttpApiSchema.NoContent,
    error: [NotFound, Refused]
  })
).prefix("/api/v1/users") {}

/** In our own form: the keys of `[[rules]]`. */
export const RuleTable = Schema.Record(Schema.String, Schema.Json)

export const KeptRule = Schema.Struct({ number: Schema.Int, rule: RuleTable })
export const NewRule = Schema.Struct({
  rule: RuleTable,
  /** The number of the rule that it goes before; without it the rule is the last. */
  before: Schema.optional(Schema.Int)
})
/** `asked`: whether authorization.sources has "built_in". */
export const RuleAdded = Schema.Struct({ number: Schema.Int, asked: Schema.Boolean })

export type KeptRule = typeof KeptRule.Type
export type RuleAdded = typeof RuleAdded.Type
export type NewRule = typeof NewRule.Type

export class RulesApi extends HttpApiGroup.make("rules").add(
  HttpApiEndpoint.get("list", "/", { success: Schema.Array(KeptRule) }),
  HttpApiEndpoint.post("add", "/", { payload: NewRule, success: RuleAdded, error: Refused }),
  HttpApiEndpoint.post("reload", "/reload", { success: HttpApiSchema.NoContent, error: Refused }),
  HttpApiEndpoint.delete("remove", "/:number", {
    params: { number: Schema.FiniteFromString },
    success: HttpApiSchema.NoContent,
    error: [NotFound, Refused]
  })
).prefix("/api/v1/rules") {}
