// Keys, tokens and links for the tests of JWT. Tokens that jose would not make are put together by hand.
import { Effect } from "effect"
import { createHmac } from "node:crypto"
import { exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from "jose"
import type { Answer, Credentials, LinkFailure } from "../../../src/access/authentication/AuthLink.ts"
import { JwtLink, type JwtOptions } from "../../../src/access/authentication/jwt/JwtLink.ts"

/** TestClock begins here. */
export const now = 0

export const secret = Buffer.from("0123456789abcdef0123456789abcdef")

export const defaults: JwtOptions = {
  from: "password",
  secret: undefined,
  keys: undefined,
  algorithms: [],
  issuer: [],
  audience: [],
  leewayMillis: 0,
  requireExp: true,
  maxTokenLength: 8_192,
  claimClientId: "",
  claimUserName: "sub",
  claimSuperuser: "",
  claimAcl: "acl"
}

export const keyPair = async (algorithm: string, kid?: string) => {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true })
  const jwk: JWK = { ...await exportJWK(publicKey), ...kid === undefined ? {} : { kid } }
  return { privateKey, pem: await exportSPKI(publicKey), jwk, algorithm }
}

export type KeyPair = Awaited<ReturnType<typeof keyPair>>

const good = { sub: "bob", exp: 60 }

/** Signed by `key`; `claims` replaces bob's, who is good for a minute. */
export const sign = (
  key: { readonly algorithm: string; readonly privateKey: Uint8Array | CryptoKey },
  claims: Record<string, unknown> = good,
  header: Record<string, unknown> = {}
): Promise<string> => new SignJWT(claims).setProtectedHeader({ alg: key.algorithm, ...header }).sign(key.privateKey)

export const bySecret = { algorithm: "HS256", privateKey: secret }

const base64url = (value: unknown): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url")

/** `claims` as text or object; the signature is HMAC-SHA-256 with `key`, or what is given. */
export const forge = (header: unknown, claims: unknown, key: string | Uint8Array | undefined): string => {
  const signed = `${base64url(header)}.${base64url(claims)}`
  return `${signed}.${key === undefined ? "" : createHmac("sha256", key).update(signed).digest("base64url")}`
}

export const credentials = (password: string | undefined, given: Partial<Credentials> = {}): Credentials => ({
  clientId: "c1",
  userName: "any",
  password: password === undefined ? undefined : Buffer.from(password),
  address: "127.0.0.1",
  listener: "tcp",
  certificateName: undefined,
  certificateSubject: undefined,
  protocolVersion: 5,
  ...given
})

export const askLink = (
  link: JwtLink,
  token: string | undefined,
  given: Partial<Credentials> = {}
): Effect.Effect<Answer, LinkFailure> =>
  Effect.suspend(() => {
    const answer = link.check(credentials(token, given))
    return Effect.isEffect(answer) ? answer : Effect.succeed(answer)
  })

export const ask = (options: Partial<JwtOptions>, token: string | undefined, given: Partial<Credentials> = {}) =>
  askLink(new JwtLink({ ...defaults, ...options }), token, given)

/** "Allow bob", "Deny 134 jwt: expired", "Ignore". */
export const told = (answer: Answer): string =>
  answer._tag === "Allow"
    ? `Allow ${answer.userName}`
    : answer._tag === "Deny"
    ? `Deny ${answer.reasonCode} ${answer.reason}`
    : "Ignore"
