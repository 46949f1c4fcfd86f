// From `[auth_http]` to its link. Invariant: a template with a fault asks nobody.
import { Effect } from "effect"
import { headersOf, httpBackend } from "../http/httpBackendOf.ts"
import { placesOfConnect, type RequestSettings, RequestTemplate } from "../http/requestTemplate.ts"
import { HttpLink } from "./HttpLink.ts"
import { LinksInvalid, type MakeLink } from "./MakeLink.ts"

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
