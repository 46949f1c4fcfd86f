// From `[auth_http]` to the rule source "http". Invariant: a template with a fault asks nobody.
import { Effect } from "effect"
import type { AuthHttpSettings, AuthorizationSettings } from "../../config/Settings.ts"
import { headersOf, httpBackend } from "../http/httpBackendOf.ts"
import { placesOfAction, RequestTemplate } from "../http/requestTemplate.ts"
import { HttpRules, type SourceParts } from "./HttpRules.ts"

export const makeHttpRules = Effect.fnUntraced(function* (
  settings: AuthHttpSettings,
  authorization: AuthorizationSettings,
  parts: SourceParts
) {
  const { aclOnFailure, aclReq: url, aclReqMethod: method, aclReqParams: params } = settings
  const template = RequestTemplate.parse({ url, method, params }, headersOf(settings), placesOfAction)
  if (typeof template === "string") return yield* Effect.fail(`auth_http.acl_req: ${template}`)
  const backend = yield* httpBackend(settings, parts)
  return new HttpRules(backend, template, aclOnFailure, authorization, parts)
})
