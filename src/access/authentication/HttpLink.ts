// Asks an HTTP service who may come in, and whether as superuser: the original's auth_req and super_req. Invariants: a value that cannot be
// asked about as it is lets nobody in; the password goes to the service and nowhere else.
import { Effect } from "effect"
import { ReasonCode } from "../../mqtt/ReasonCode.ts"
import type { HttpBackend } from "../http/HttpBackend.ts"
import { type HttpVerdict, verdictOf } from "../http/httpAnswer.ts"
import type { RequestTemplate, RequestValues } from "../http/requestTemplate.ts"
import { rulesFromJson } from "../rules/rulesFromJson.ts"
import {
  type Answer,
  type AuthLink,
  type Credentials,
  type Deny,
  ignore,
  type LinkFailure,
  linkFailure
} from "./AuthLink.ts"

export class HttpLink implements AuthLink {
  readonly name = "http"
  readonly cacheable = true
  private readonly backend: HttpBackend
  private readonly authRequest: RequestTemplate
  /** Undefined: the answer to the first says it, or nobody is one. */
  private readonly superRequest: RequestTemplate | undefined
  private readonly wantsNames: boolean

  constructor(backend: HttpBackend, authRequest: RequestTemplate, superRequest: RequestTemplate | undefined) {
    this.backend = backend
    this.authRequest = authRequest
    this.superRequest = superRequest
    this.wantsNames = authRequest.uses("userName") || authRequest.uses("password")
  }

  check(credentials: Credentials): Answer | Effect.Effect<Answer, LinkFailure> {
    const { password, userName } = credentials
    // It would be asked about nobody.
    if (this.wantsNames && userName === undefined && password === undefined) return ignore
    const secret = password === undefined ? "" : textOf(password)
    if (secret === undefined) return denied("the password is no text")
    const values = valuesOf(credentials, secret)
    return Effect.flatMap(this.ask(this.authRequest, values), (verdict) => {
      if ("_tag" in verdict) return Effect.succeed(verdict)
      const { acl, expiresAt, result, superuser } = verdict
      if (result === "ignore") return Effect.succeed(ignore)
      if (result === "deny") return Effect.succeed(denied("the service denies it"))
      const rules = acl === undefined ? undefined : rulesFromJson("http acl", acl)
      if (typeof rules === "string") return Effect.fail(linkFailure(`auth_http: "acl": ${rules}`))
      return Effect.map(
        superuser ? Effect.succeed(true) : this.isSuperuser(values),
        (isSuperuser): Answer => ({ _tag: "Allow", superuser: isSuperuser, rules, expiresAt })
      )
    })
  }

  private isSuperuser(values: RequestValues): Effect.Effect<boolean, LinkFailure> {
    if (this.superRequest === undefined) return Effect.succeed(false)
    return Effect.map(
      this.ask(this.superRequest, values),
      (verdict) => !("_tag" in verdict) && verdict.result === "allow"
    )
  }

  private ask(template: RequestTemplate, values: RequestValues): Effect.Effect<HttpVerdict | Deny, LinkFailure> {
    const request = template.fill(values)
    if (request === undefined) return Effect.succeed(denied("a name that cannot stand in the path"))
    return Effect.flatMap(this.backend.send(request), (answer) => {
      const verdict = verdictOf(answer)
      return typeof verdict === "string" ? Effect.fail(linkFailure(`auth_http: ${verdict}`)) : Effect.succeed(verdict)
    })
  }
}

const denied = (reason: string): Deny => ({
  _tag: "Deny",
  reasonCode: ReasonCode.BadUserNameOrPassword,
  reason: `http: ${reason}`
})

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

const valuesOf = (credentials: Credentials, password: string): RequestValues => ({
  clientId: credentials.clientId,
  userName: credentials.userName ?? "",
  password,
  address: credentials.address,
  listener: credentials.listener,
  certificateName: credentials.certificateName ?? "",
  certificateSubject: credentials.certificateSubject ?? "",
  topic: "",
  access: "",
  qos: "",
  retain: ""
})
