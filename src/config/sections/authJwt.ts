// `[auth_jwt]`: the tokens that let a client in, who signs them, and what their claims say.
import { noSecret, type Secret } from "../Secret.ts"
import { choice, duration, integer, secret, text, textList, truth } from "../settingCodecs.ts"
import type { Fields } from "../table.ts"

export const secretAlgorithms = ["HS256", "HS384", "HS512"] as const
export const keyAlgorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519"
] as const

const jwtAlgorithms: ReadonlyArray<string> = [...secretAlgorithms, ...keyAlgorithms]

export interface AuthJwtSettings {
  /** Where the client hands the token over. */
  readonly from: "password" | "user_name"
  /** For HS256, HS384 and HS512; 32 bytes at least. */
  readonly secret: Secret
  /** File with the secret; goes before `secret`. */
  readonly secretFile: string
  readonly secretBase64: boolean
  /** PEM file: a public key or a certificate. */
  readonly publicKeyFile: string
  readonly jwksFile: string
  readonly jwksUrl: string
  /** PEM file of the authorities for `jwksUrl`; "" is the system's. */
  readonly jwksCa: string
  /** 1 s to 1 d: the keys are fetched anew after this. */
  readonly jwksRefreshMillis: number
  /** 1 s to 1 h: the keys are fetched no more often than this, whatever is asked for. */
  readonly jwksCooldownMillis: number
  /** 1 min to 30 d, or never: keys that could not be fetched anew for so long are trusted no more. */
  readonly jwksMaxAgeMillis: number
  /** 100 ms to 1 min. */
  readonly jwksTimeoutMillis: number
  /** Empty: all that there is a secret or a key for. */
  readonly algorithms: ReadonlyArray<string>
  /** Of which one has to be `iss`; empty: any. */
  readonly issuer: ReadonlyArray<string>
  /** Of which one has to be in `aud`; empty: any. */
  readonly audience: ReadonlyArray<string>
  /** 0 to 10 min, for `exp` and `nbf`. */
  readonly leewayMillis: number
  readonly requireExp: boolean
  /** 256 to 65,535 bytes. */
  readonly maxTokenLength: number
  /** A claim's name, or a way as in "/a/b"; "" is none. */
  readonly claimClientId: string
  readonly claimUserName: string
  readonly claimSuperuser: string
  readonly claimAcl: string
}

export const authJwtDefaults: AuthJwtSettings = {
  from: "password",
  secret: noSecret,
  secretFile: "",
  secretBase64: false,
  publicKeyFile: "",
  jwksFile: "",
  jwksUrl: "",
  jwksCa: "",
  jwksRefreshMillis: 600_000,
  jwksCooldownMillis: 30_000,
  jwksMaxAgeMillis: 86_400_000,
  jwksTimeoutMillis: 5_000,
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

const file = text("a file", (value) => !value.includes("\0"))
const claim = text("the name of a claim, or a way as in /a/b", (value) => !value.includes("\0"))
const url = text("an http:// or https:// address", (value) => value === "" || /^https?:\/\/\S+$/.test(value))
const isAlgorithm = (value: string): boolean => jwtAlgorithms.includes(value)

export const authJwt: Fields<AuthJwtSettings> = {
  from: ["from", choice(["password", "user_name"])],
  secret: ["secret", secret],
  secretFile: ["secret_file", file],
  secretBase64: ["secret_base64", truth],
  publicKeyFile: ["public_key_file", file],
  jwksFile: ["jwks_file", file],
  jwksUrl: ["jwks_url", url],
  jwksCa: ["jwks_ca", file],
  jwksRefreshMillis: ["jwks_refresh", duration({ minimum: "1s", maximum: "1d" })],
  jwksCooldownMillis: ["jwks_cooldown", duration({ minimum: "1s", maximum: "1h" })],
  jwksMaxAgeMillis: ["jwks_max_age", duration({ minimum: "1m", maximum: "30d", never: true })],
  jwksTimeoutMillis: ["jwks_timeout", duration({ minimum: "100ms", maximum: "1m" })],
  algorithms: ["algorithms", textList(jwtAlgorithms.join(", "), isAlgorithm)],
  issuer: ["issuer", textList("issuers", (value) => value !== "")],
  audience: ["audience", textList("audiences", (value) => value !== "")],
  leewayMillis: ["leeway", duration({ minimum: "0s", maximum: "10m" })],
  requireExp: ["require_exp", truth],
  maxTokenLength: ["max_token_length", integer(256, 65_535)],
  claimClientId: ["claim_client_id", claim],
  claimUserName: ["claim_user_name", claim],
  claimSuperuser: ["claim_superuser", claim],
  claimAcl: ["claim_acl", claim]
}
