// Lets in whoever carries a token that one of our keys has signed. The token is in the password or in the user name. Names, superuser,
// rules and the end of the connection are its claims. Invariant: nothing of a token counts before its signature and its times are good.
import { Clock, Effect } from "effect"
import { decodeProtectedHeader, errors, jwtVerify, type JWTVerifyOptions, type ProtectedHeaderParameters } from "jose"
import { type AuthJwtSettings, keyAlgorithms, secretAlgorithms } from "../../../config/sections/authJwt.ts"
import { ReasonCode } from "../../../mqtt/ReasonCode.ts"
import { rulesFromJson } from "../../rules/rulesFromJson.ts"
import type { Allow, Answer, AuthLink, Credentials, Deny, LinkFailure } from "../AuthLink.ts"
import { ignore } from "../AuthLink.ts"
import { claimAt, type Claims } from "./claimNames.ts"
import type { KeySet, VerifyingKey } from "./KeySet.ts"

export interface JwtOptions extends
  Pick<
    AuthJwtSettings,
    | "from"
    | "algorithms"
    | "issuer"
    | "audience"
    | "leewayMillis"
    | "requireExp"
    | "maxTokenLength"
    | "claimClientId"
    | "claimUserName"
    | "claimSuperuser"
    | "claimAcl"
  > {
  /** For HS256, HS384 and HS512 alone. */
  readonly secret: Uint8Array | undefined
  /** For all other algorithms. */
  readonly keys: KeySet | undefined
}

/** Three parts in base64url: what is not built so is no token, and another link may know it. */
const tokenForm = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*$/

export class JwtLink implements AuthLink {
  readonly name = "jwt"
  /** A token says itself how long it is good. */
  readonly cacheable = false
  private readonly options: JwtOptions
  private readonly algorithms: ReadonlySet<string>

  constructor(options: JwtOptions) {
    this.options = options
    const fitting = [
      ...options.secret === undefined ? [] : secretAlgorithms,
      ...options.keys === undefined ? [] : keyAlgorithms
    ]
    const { algorithms } = options
    this.algorithms = new Set(algorithms.length === 0 ? fitting : fitting.filter((one) => algorithms.includes(one)))
  }

  /** False: the settings leave no algorithm. */
  get verifiesAny(): boolean {
    return this.algorithms.size > 0
  }

  check(credentials: Credentials): Answer | Effect.Effect<Answer, LinkFailure> {
    const { from, maxTokenLength } = this.options
    const bytes = from === "password" ? credentials.password : undefined
    const length = bytes?.length ?? credentials.userName?.length ?? 0
    if (length === 0 || (from === "password" && bytes === undefined)) return ignore
    if (length > maxTokenLength) return wrong("longer than auth_jwt.max_token_length")
    const token = bytes === undefined ? credentials.userName ?? "" : Buffer.from(bytes).toString("latin1")
    if (!tokenForm.test(token)) return ignore
    const header = headerOf(token)
    if (header === undefined) return ignore
    const { alg } = header
    // "none" is never among them.
    if (typeof alg !== "string" || !this.algorithms.has(alg)) return wrong("an algorithm that is not accepted here")
    return this.verify(token, { ...header, alg }, credentials)
  }

  private verify(
    token: string,
    header: ProtectedHeaderParameters & { readonly alg: string },
    credentials: Credentials
  ): Effect.Effect<Answer, LinkFailure> {
    const verified = Effect.gen({ self: this }, function* () {
      const key = yield* this.keyFor(header)
      if (key === undefined) return wrong("no key for this token")
      const now = yield* Clock.currentTimeMillis
      const claims = yield* Effect.tryPromise({
        try: () => jwtVerify(token, key, this.claimsWanted(header.alg, now)).then(({ payload }) => payload),
        catch: (error) => wrong(reasonOf(error))
      })
      return this.answer(claims, credentials)
    })
    return Effect.catchTags(verified, {
      Deny: (deny) => Effect.succeed(deny),
      NoKey: ({ reason }) => Effect.succeed(wrong(reason))
    })
  }

  /** A secret never verifies what a public key is for, and no public key stands in for a secret. */
  private keyFor({ alg, ...header }: ProtectedHeaderParameters & { readonly alg: string }) {
    if (alg.startsWith("HS")) return Effect.succeed<VerifyingKey | Uint8Array | undefined>(this.options.secret)
    return this.options.keys?.keyFor({ ...header, alg }) ?? Effect.succeed<undefined>(undefined)
  }

  private claimsWanted(algorithm: string, now: number): JWTVerifyOptions {
    const { audience, issuer, leewayMillis, requireExp } = this.options
    return {
      algorithms: [algorithm],
      clockTolerance: leewayMillis / 1000,
      currentDate: new Date(now),
      requiredClaims: requireExp ? ["exp"] : [],
      ...issuer.length > 0 ? { issuer: [...issuer] } : {},
      ...audience.length > 0 ? { audience: [...audience] } : {}
    }
  }

  private answer(claims: Claims, { assigned, clientId }: Credentials): Answer {
    const { claimAcl, claimClientId, claimSuperuser, claimUserName, leewayMillis } = this.options
    const ownId = claimAt(claims, claimClientId)
    const ownName = claimAt(claims, claimUserName)
    if (claimClientId !== "" && (typeof ownId !== "string" || ownId === "")) return wrong(`no claim ${claimClientId}`)
    if (claimUserName !== "" && (typeof ownName !== "string" || ownName === "")) {
      return wrong(`no claim ${claimUserName}`)
    }
    if (ownId !== undefined && assigned !== true && ownId !== clientId) {
      return {
        _tag: "Deny",
        reasonCode: ReasonCode.ClientIdentifierNotValid,
        reason: "jwt: the token is for another client id"
      }
    }
    const acl = claimAt(claims, claimAcl)
    const rules = acl === undefined ? undefined : rulesFromJson(`jwt claim ${claimAcl}`, acl)
    if (typeof rules === "string") return wrong(`claim ${claimAcl}: ${rules}`)
    const { exp } = claims
    const allowed: Allow = {
      _tag: "Allow",
      superuser: claimAt(claims, claimSuperuser) === true,
      userName: typeof ownName === "string" ? ownName : undefined,
      clientId: typeof ownId === "string" ? ownId : undefined,
      rules,
      expiresAt: typeof exp === "number" ? exp * 1000 + leewayMillis : undefined
    }
    return allowed
  }
}

const headerOf = (token: string): ProtectedHeaderParameters | undefined => {
  try {
    return decodeProtectedHeader(token)
  } catch {
    return undefined
  }
}

const wrong = (reason: string): Deny => ({
  _tag: "Deny",
  reasonCode: ReasonCode.BadUserNameOrPassword,
  reason: `jwt: ${reason}`
})

/** jose's messages name claims and algorithms, never values of the token; what is not jose's says nothing. */
const reasonOf = (error: unknown): string => {
  if (error instanceof errors.JWTExpired) return "expired"
  if (error instanceof errors.JWTClaimValidationFailed) {
    return `claim ${error.claim}: ${error.reason.replaceAll("_", " ")}`
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return "the signature is not by our key"
  if (error instanceof errors.JOSEError) return error.code
  return "the key for this token cannot be used"
}
