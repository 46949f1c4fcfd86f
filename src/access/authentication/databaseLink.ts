// The links "postgres", "mysql" and "redis": the back end finds the user, the password is compared here. Invariants: whom the back end does
// not know is left to the next link, and takes as long as a wrong password; an empty password is nobody's; rules and superuser are asked for only after the right password.
import { Effect } from "effect"
import { ReasonCode } from "../../mqtt/ReasonCode.ts"
import type { Backend, BackendFailure, UserRow } from "../backends/Backend.ts"
import { makeMysql, makePostgres, makeRedis } from "../backends/makeBackend.ts"
import { type Names, passwordText } from "../backends/placeholders.ts"
import {
  decoyFor,
  parsePasswordForm,
  type PasswordHash,
  passwordHashForms,
  verifyStored
} from "../backends/passwordHash.ts"
import type { BackendHost } from "../backends/SessionPool.ts"
import { type Answer, type AuthLink, type Credentials, type Deny, ignore, linkFailure } from "./AuthLink.ts"
import type { LinkFailure } from "./AuthLink.ts"
import { LinksInvalid, type MakeLink } from "./MakeLink.ts"
import { type PasswordChecks, tooBusy } from "./passwords/PasswordChecks.ts"

export const namesOf = (credentials: Omit<Credentials, "protocolVersion" | "listener">): Names => ({
  clientId: credentials.clientId,
  userName: credentials.userName,
  address: credentials.address,
  certificateName: credentials.certificateName,
  certificateSubject: credentials.certificateSubject,
  password: passwordText(credentials.password)
})

const wrongPassword: Deny = {
  _tag: "Deny",
  reasonCode: ReasonCode.BadUserNameOrPassword,
  reason: "wrong password"
}
const withoutPassword: Deny = { ...wrongPassword, reason: "no password" }

const backEndBusy = (reason: string): Deny => ({ _tag: "Deny", reasonCode: ReasonCode.ServerBusy, reason })

/** "busy" is told to the client; what else goes wrong is for authentication.on_failure. */
export const answered = (answer: Effect.Effect<Answer, BackendFailure | LinkFailure>) =>
  Effect.catch(
    answer,
    (failure): Effect.Effect<Answer, LinkFailure> =>
      failure._tag === "LinkFailure"
        ? Effect.fail(failure)
        : failure.kind === "busy"
        ? Effect.succeed(backEndBusy(failure.message))
        : Effect.fail(linkFailure(failure.message))
  )

export const databaseLink = (backend: Backend, hash: PasswordHash, checks: PasswordChecks): AuthLink => {
  let decoy = decoyFor(hash, undefined)
  const verify = (form: Exclude<PasswordHash, { readonly _tag: "InQuery" }>, user: UserRow, password: Uint8Array) =>
    Effect.mapError(
      verifyStored(form, user, password, checks),
      ({ message }) => linkFailure(`${backend.name}: ${message}`)
    )
  return {
    name: backend.name,
    cacheable: true,
    check: (credentials) => {
      const { password, userName } = credentials
      // The original asks nobody about a client that says nothing of itself.
      if (userName === undefined && password === undefined) return ignore
      const names = namesOf(credentials)
      return answered(Effect.gen(function* () {
        if (hash._tag === "InQuery" && (names.password === undefined || names.password === "")) return ignore
        const user = yield* backend.findUser(names)
        if (user === undefined) {
          if (hash._tag === "InQuery" || decoy === undefined || password === undefined) return ignore
          return (yield* verify(hash, decoy, password)) === "busy" ? tooBusy : ignore
        }
        if (hash._tag !== "InQuery") {
          if (password === undefined || password.length === 0) return withoutPassword
          const right = yield* verify(hash, user, password)
          if (right === "busy") return tooBusy
          decoy ??= decoyFor(hash, user)
          if (!right) return wrongPassword
        }
        const superuser = yield* backend.isSuperuser(names)
        return { _tag: "Allow", superuser, userName: user.userName }
      }))
    }
  }
}

const makeDatabaseLink = (
  table: string,
  form: string,
  make: (host: BackendHost) => ReturnType<typeof makePostgres>
): (parts: Parameters<MakeLink>[1]) => ReturnType<MakeLink> =>
(parts) =>
  Effect.gen(function* () {
    const hash = parsePasswordForm(form)
    const backend = yield* Effect.mapError(make(parts), (faults) => new LinksInvalid({ faults }))
    if (hash === undefined) {
      return yield* new LinksInvalid({ faults: [`${table}.password_hash: expected ${passwordHashForms}`] })
    }
    // Without it whoever is found would be let in by any password.
    if (hash._tag === "InQuery" && !backend.judgesPassword) {
      return yield* new LinksInvalid({ faults: [`${table}.password_hash: "in_query" needs %P in auth_query`] })
    }
    return databaseLink(backend, hash, parts.passwords)
  })

export const makePostgresLink: MakeLink = ({ auth_postgres }, parts) =>
  makeDatabaseLink("auth_postgres", auth_postgres.passwordHash, (host) => makePostgres(auth_postgres, host))(parts)

export const makeMysqlLink: MakeLink = ({ auth_mysql }, parts) =>
  makeDatabaseLink("auth_mysql", auth_mysql.passwordHash, (host) => makeMysql(auth_mysql, host))(parts)

export const makeRedisLink: MakeLink = ({ auth_redis }, parts) =>
  makeDatabaseLink("auth_redis", auth_redis.passwordHash, (host) => makeRedis(auth_redis, host))(parts)
