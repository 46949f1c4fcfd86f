// From `[auth_http]` to its link, and what the rule source of the same table shares with it: back end and templates. Invariant: a template
// with a fault asks nobody.
import { Effect, Redacted } from "effect"
import type { AuthHttpSettings } from "../../config/Settings.ts"
import { HttpBackend } from "../http/HttpBackend.ts"
import { placesOfConnect, type RequestSettings, RequestTemplate } from "../http/requestTemplate.ts"
import { HttpLink } from "./HttpLink.ts"
import { type LinkParts, LinksInvalid, type MakeLink } from "./MakeLink.ts"
import { readText } from "./readText.ts"

export const makeHttpLink: MakeLink = ({ auth_http: authHttp }, parts) =>
  Effect.gen(function* () {
    const { authReq, authReqMethod, authReqParams, superReq, superReqMethod, superReqParams } = authHttp
    const headers = headersOf(authHttp)
    const faults: Array<string> = []
    const template = (key: string, request: RequestSettings): RequestTemplate | undefined => {
      const parsed = RequestTemplate.parse(request, headers, placesOfConnect)
      if (typeof parsed !== "string") return parsed
      faults.push(`auth_http.${key}: ${parsed}`)
      return undefined
    }
    if (authReq === "") faults.push("auth_http.auth_req: needed by the link")
    const auth = authReq === ""
      ? undefined
      : template("auth_req", { url: authReq, method: authReqMethod, params: authReqParams })
    const superuser = superReq === ""
      ? undefined
      : template("super_req", { url: superReq, method: superReqMethod, params: superReqParams })
    const backend = yield* Effect.catch(httpBackend(authHttp, parts), (fault) =>
      Effect.sync(() => {
        faults.push(fault)
        return undefined
      }))
    if (auth === undefined || backend === undefined || faults.length > 0) return yield* new LinksInvalid({ faults })
    return new HttpLink(backend, auth, superuser)
  })

export const headersOf = ({ headers }: AuthHttpSettings): ReadonlyArray<string> =>
  headers.map((one) => Redacted.value(one))

export const httpBackend = Effect.fnUntraced(function* (settings: AuthHttpSettings, { counters, log }: LinkParts) {
  return yield* HttpBackend.make({
    name: "auth_http",
    ca: yield* readText("auth_http.ca", settings.ca),
    timeoutMillis: settings.timeoutMillis,
    connections: settings.poolSize,
    waiting: settings.maxWaiting,
    maxAnswer: settings.maxAnswerBytes,
    counters,
    breaker: {
      failures: settings.breakerFailures,
      restMillis: settings.breakerRestMillis,
      onOpen: (reason) => log.error("auth_http does not answer: not asked for a while", { reason }),
      onClose: () => log.info("auth_http answers again", {})
    }
  })
})
