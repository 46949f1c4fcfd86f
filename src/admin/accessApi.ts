// The part of the management API about who may come in and what they may do: the rules that the node keeps itself. Put into Api.ts.
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { NotFound, Refused } from "./faults.ts"

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
  HttpApiEndpoint.delete("remove", "/:number", {
    params: { number: Schema.FiniteFromString },
    success: HttpApiSchema.NoContent,
    error: [NotFound, Refused]
  })
).prefix("/api/v1/rules") {}
