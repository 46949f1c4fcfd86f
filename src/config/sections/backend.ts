// What the tables of all databases have in common: where it is, TLS, how many sessions, how long, when it is given up for a while.
// Used by auth_postgres, auth_mysql, auth_redis and auth_ldap. Invariant: the address holds no password, so that it may be shown.
import { Effect, Predicate, Schema, SchemaIssue, SchemaTransformation } from "effect"
import { noSecret, type Secret } from "../Secret.ts"
import { choice, duration, integer, secret, type SettingCodec, text, truth } from "../settingCodecs.ts"
import type { Fields } from "../table.ts"

export interface BackendSettings {
  /** Without a password. "" where the back end is not used. */
  readonly url: string
  readonly password: Secret
  readonly tls: boolean
  /** False: whoever answers is believed. */
  readonly tlsVerify: boolean
  /** PEM files; "" is the runtime's authorities, or no certificate. */
  readonly ca: string
  readonly certificate: string
  readonly key: string
  /** 100 ms to 1 min: from a request to its answer, waiting and connecting among it. */
  readonly timeoutMillis: number
  /** 1 to 256 sessions. */
  readonly poolSize: number
  /** 0 to 1,000,000 requests that wait for one of these; the next one fails. */
  readonly maxWaiting: number
  /** 0 to 1,000 failures in a row after which nobody is asked for a while; 0: never. */
  readonly breakerFailures: number
  /** 100 ms to 10 min. */
  readonly breakerRestMillis: number
}

export const backendDefaults: BackendSettings = {
  url: "",
  password: noSecret,
  tls: false,
  tlsVerify: true,
  ca: "",
  certificate: "",
  key: "",
  timeoutMillis: 5_000,
  poolSize: 8,
  maxWaiting: 1_000,
  breakerFailures: 5,
  breakerRestMillis: 10_000
}

/** Its fault does not quote what it got: there may be a password in it. */
const address = (schemes: ReadonlyArray<string>, example: string): SettingCodec<string> => {
  const isAddress = (value: string): boolean => {
    if (value === "") return true
    if (!URL.canParse(value)) return false
    const { password, protocol } = new URL(value)
    return password === "" && schemes.includes(protocol.slice(0, -1))
  }
  return Schema.Unknown.pipe(Schema.decodeTo(
    Schema.declare(Predicate.isString),
    SchemaTransformation.transformEffect({
      decode: (input: unknown) =>
        typeof input === "string" && isAddress(input) ? Effect.succeed(input) : Effect.fail(
          new SchemaIssue.InvalidValue({
            message: `expected an address without a password, as in "${example}", got something else`
          })
        ),
      encode: (value: string) => Effect.succeed(value)
    })
  ))
}

const file = text("a file", (value) => !value.includes("\0"))

export const backendFields = (schemes: ReadonlyArray<string>, example: string): Fields<BackendSettings> => ({
  url: ["url", address(schemes, example)],
  password: ["password", secret],
  tls: ["tls", truth],
  tlsVerify: ["tls_verify", truth],
  ca: ["ca", file],
  certificate: ["certificate", file],
  key: ["key", file],
  timeoutMillis: ["timeout", duration({ minimum: "100ms", maximum: "1m" })],
  poolSize: ["pool_size", integer(1, 256)],
  maxWaiting: ["max_waiting", integer(0, 1_000_000)],
  breakerFailures: ["breaker_failures", integer(0, 1_000)],
  breakerRestMillis: ["breaker_rest", duration({ minimum: "100ms", maximum: "10m" })]
})

/** What a query, a command or the name of an entry is made of. */
export const template = text("a text with placeholders", (value) => !value.includes("\0"))
export const passwordForm = text("a form of passwords, as in sha256 or salt,sha256", (value) => !value.includes("\0"))

/** Of the rules that are fetched for one client. */
export interface ClientRulesSettings {
  /** 1 to 100,000 rules of one client; one who has more is let in with none of them, as aclOnFailure says. */
  readonly maxRules: number
  /** What holds for a client whose rules cannot be fetched: it stays out, or the source has no rules for it. */
  readonly aclOnFailure: "deny" | "ignore"
  /** 1 s to 30 days: rules of those who are connected are fetched again; Infinity: only with a reload. */
  readonly aclRefreshMillis: number
}

export const clientRulesDefaults: ClientRulesSettings = {
  maxRules: 1_000,
  aclOnFailure: "deny",
  aclRefreshMillis: Infinity
}

export const clientRulesFields: Fields<ClientRulesSettings> = {
  maxRules: ["max_rules", integer(1, 100_000)],
  aclOnFailure: ["acl_on_failure", choice(["deny", "ignore"])],
  aclRefreshMillis: ["acl_refresh", duration({ minimum: "1s", maximum: "30d", never: true })]
}
