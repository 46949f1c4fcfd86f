// `[auth_http]`: an HTTP service that says who may come in, who is a superuser, and what clients may do (the original's auth_req, super_req
// and acl_req). Used by the link "http" and by the rule source "http".
import { Predicate, Redacted } from "effect"
import { isSecret, type Secret } from "../Secret.ts"
import { choice, codec, duration, integer, type SettingCodec, size, text } from "../settingCodecs.ts"
import type { Fields } from "../table.ts"

export type RequestMethod = "post" | "get" | "json"

export interface AuthHttpSettings {
  /** "" asks nobody. */
  readonly authReq: string
  readonly authReqMethod: RequestMethod
  /** "clientid=%c,username=%u". */
  readonly authReqParams: string
  readonly superReq: string
  readonly superReqMethod: RequestMethod
  readonly superReqParams: string
  readonly aclReq: string
  readonly aclReqMethod: RequestMethod
  readonly aclReqParams: string
  /** "name: value" each; secret. */
  readonly headers: ReadonlyArray<Secret>
  /** PEM file; "" is the system's authorities. */
  readonly ca: string
  /** 100 ms to 1 min, for one answer. */
  readonly timeoutMillis: number
  /** 1 to 1,000 requests at a time. */
  readonly poolSize: number
  /** 0 to 1,000,000 requests that wait for one of these; the next one fails. */
  readonly maxWaiting: number
  /** 1 KiB to 1 MiB. */
  readonly maxAnswerBytes: number
  /** 0 to 1,000 failures in a row after which nobody is asked for a while; 0: never. */
  readonly breakerFailures: number
  /** 100 ms to 10 min. */
  readonly breakerRestMillis: number
  /** What the rule source comes to when there is no answer. */
  readonly aclOnFailure: "deny" | "ignore"
}

export const authHttpDefaults: AuthHttpSettings = {
  authReq: "",
  authReqMethod: "post",
  authReqParams: "clientid=%c,username=%u,password=%P",
  superReq: "",
  superReqMethod: "post",
  superReqParams: "clientid=%c,username=%u",
  aclReq: "",
  aclReqMethod: "get",
  aclReqParams: "access=%A,username=%u,clientid=%c,ipaddr=%a,topic=%t",
  headers: [],
  ca: "",
  timeoutMillis: 3_000,
  poolSize: 32,
  maxWaiting: 10_000,
  maxAnswerBytes: 65_536,
  breakerFailures: 5,
  breakerRestMillis: 10_000,
  aclOnFailure: "deny"
}

const url = text("an http:// or https:// address", (value) => value === "" || /^https?:\/\/\S+$/i.test(value))
const method = choice(["post", "get", "json"])
const params = text("parameters as in name=%u,other=%c", (value) => !value.includes("\0"))

const isHeaders = (value: unknown): value is ReadonlyArray<Secret> => Array.isArray(value) && value.every(isSecret)

/** The name is shown, the value is not. */
const headers: SettingCodec<ReadonlyArray<Secret>> = codec(
  `a list of "name: value"`,
  isHeaders,
  (input) => {
    const list: ReadonlyArray<unknown> = Array.isArray(input) ? input : [input]
    return list.every(Predicate.isString) ? list.map((one) => Redacted.make(one)) : undefined
  },
  (value) =>
    value.map((one) => Redacted.value(one).replace(/^([^:]*:)?.*$/s, (_, name = "") => `${name} ********`.trim())),
  true
)

export const authHttp: Fields<AuthHttpSettings> = {
  authReq: ["auth_req", url],
  authReqMethod: ["auth_req_method", method],
  authReqParams: ["auth_req_params", params],
  superReq: ["super_req", url],
  superReqMethod: ["super_req_method", method],
  superReqParams: ["super_req_params", params],
  aclReq: ["acl_req", url],
  aclReqMethod: ["acl_req_method", method],
  aclReqParams: ["acl_req_params", params],
  headers: ["headers", headers],
  ca: ["ca", text("a file", (value) => !value.includes("\0"))],
  timeoutMillis: ["timeout", duration({ minimum: "100ms", maximum: "1m" })],
  poolSize: ["pool_size", integer(1, 1_000)],
  maxWaiting: ["max_waiting", integer(0, 1_000_000)],
  maxAnswerBytes: ["max_answer", size(1_024, 1_048_576)],
  breakerFailures: ["breaker_failures", integer(0, 1_000)],
  breakerRestMillis: ["breaker_rest", duration({ minimum: "100ms", maximum: "10m" })],
  aclOnFailure: ["acl_on_failure", choice(["deny", "ignore"])]
}
