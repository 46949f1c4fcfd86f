// From `[auth_jwt]` to its link: reads secret and keys, and says everything that is wrong with them. Invariant: a secret is never so short
// that it can be tried out, and no link is there without a secret or a key.
import { Effect, Redacted } from "effect"
import { HttpClientRequest } from "effect/http"
import type { AuthJwtSettings } from "../../../config/Settings.ts"
import { readSecret } from "../../../config/Secret.ts"
import { HttpBackend } from "../../http/HttpBackend.ts"
import { isLoopback } from "../../Access.ts"
import { type LinkParts, LinksInvalid, type MakeLink } from "../MakeLink.ts"
import { readText } from "../../readText.ts"
import { JwtLink } from "./JwtLink.ts"
import { FixedKeySet, type KeySet, keySetOfPem, parseKeySet } from "./KeySet.ts"
import { RemoteKeySet } from "./RemoteKeySet.ts"

/** RFC 7518 section 3.2, for HS256. */
const leastSecret = 32
const maxKeySetBytes = 262_144

export const makeJwtLink: MakeLink = ({ auth_jwt: authJwt }, parts) =>
  Effect.gen(function* () {
    const faults: Array<string> = []
    const given = [authJwt.publicKeyFile, authJwt.jwksFile, authJwt.jwksUrl].filter((one) => one !== "")
    if (given.length > 1) faults.push("auth_jwt: give one of public_key_file, jwks_file and jwks_url")
    if (authJwt.from === "user_name" && authJwt.claimUserName === "") {
      faults.push(`auth_jwt.claim_user_name: needed with from = "user_name"`)
    }
    const secret = yield* Effect.catch(secretOf(authJwt), (fault) => noted(faults, fault))
    const keys = yield* Effect.catch(keysOf(authJwt, parts), (fault) => noted(faults, fault))
    if (faults.length === 0 && secret === undefined && keys === undefined) {
      faults.push("auth_jwt: needs secret, public_key_file, jwks_file or jwks_url")
    }
    const link = new JwtLink({ ...authJwt, secret, keys })
    if (faults.length === 0 && !link.verifiesAny) {
      faults.push("auth_jwt.algorithms: none that there is a secret or a key for")
    }
    if (faults.length > 0) return yield* new LinksInvalid({ faults })
    return link
  })

const noted = (faults: Array<string>, fault: string): Effect.Effect<undefined> =>
  Effect.sync(() => {
    faults.push(fault)
    return undefined
  })

const secretOf = Effect.fnUntraced(function* ({ secret, secretBase64, secretFile }: AuthJwtSettings) {
  const read = yield* Effect.mapError(readSecret("auth_jwt.secret", secret, secretFile), ({ message }) => message)
  const text = Redacted.value(read)
  if (text === "") return undefined
  const bytes = Buffer.from(text, secretBase64 ? "base64" : "utf8")
  if (bytes.length < leastSecret) return yield* Effect.fail(`auth_jwt.secret: shorter than ${leastSecret} bytes`)
  return bytes
})

const keysOf = Effect.fnUntraced(function* (settings: AuthJwtSettings, parts: LinkParts) {
  const { jwksFile, jwksUrl, publicKeyFile } = settings
  const pem = yield* readText("auth_jwt.public_key_file", publicKeyFile)
  if (pem !== undefined) {
    const set = keySetOfPem(pem)
    if (set === undefined) {
      return yield* Effect.fail(`${publicKeyFile}: no public key in PEM (auth_jwt.public_key_file)`)
    }
    return new FixedKeySet(set)
  }
  const document = yield* readText("auth_jwt.jwks_file", jwksFile)
  if (document !== undefined) {
    const set = parseKeySet(document)
    if (set === undefined || set.keys.length === 0) {
      return yield* Effect.fail(`${jwksFile}: no JWKS with a public key (auth_jwt.jwks_file)`)
    }
    return new FixedKeySet(set)
  }
  return jwksUrl === "" ? undefined : yield* remoteKeys(settings, parts)
})

const remoteKeys = Effect.fnUntraced(function* (settings: AuthJwtSettings, { counters, log }: LinkParts) {
  const { jwksUrl } = settings
  if (!URL.canParse(jwksUrl)) return yield* Effect.fail("auth_jwt.jwks_url: no address")
  const { hostname, protocol } = new URL(jwksUrl)
  if (protocol === "http:" && hostname !== "localhost" && !isLoopback(hostname.replace(/^\[|\]$/g, ""))) {
    log.warning("auth_jwt.jwks_url is not https: who can change the answer can let anybody in", { host: hostname })
  }
  const backend = yield* HttpBackend.make({
    name: "auth_jwt.jwks_url",
    ca: yield* readText("auth_jwt.jwks_ca", settings.jwksCa),
    timeoutMillis: settings.jwksTimeoutMillis,
    connections: 1,
    waiting: 1,
    maxAnswer: maxKeySetBytes,
    counters,
    // How often it is asked is bounded already.
    breaker: { failures: 0, restMillis: 0, onOpen: () => {}, onClose: () => {} }
  })
  const fetch = Effect.matchEffect(backend.send(HttpClientRequest.acceptJson(HttpClientRequest.get(jwksUrl))), {
    onFailure: ({ message }) => Effect.fail(message),
    onSuccess: ({ body, status }) => status >= 400 ? Effect.fail(`status ${status}`) : Effect.succeed(body)
  })
  const keys: KeySet = new RemoteKeySet({
    fetch,
    refreshMillis: settings.jwksRefreshMillis,
    cooldownMillis: settings.jwksCooldownMillis,
    maxAgeMillis: settings.jwksMaxAgeMillis,
    onFetched: (count) => log.info("keys for JWT fetched", { keys: count }),
    onFailure: (reason) => log.warning("keys for JWT not fetched", { reason })
  })
  return keys
})
