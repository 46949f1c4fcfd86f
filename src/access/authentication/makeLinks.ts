// From the settings to the links of the chain, in their order: one line a type of link. Invariant: either all links are there, or none
// and every fault is told; what they hold open is closed with the scope.
import { Effect } from "effect"
import type { LinkType, Settings } from "../../config/Settings.ts"
import { Counters } from "../../metrics/Counters.ts"
import { EventLog } from "../../metrics/EventLog.ts"
import { anonymousLink, keptOutBy } from "./anonymousLink.ts"
import type { AuthLink, Credentials } from "./AuthLink.ts"
import { makeClientIdFileLink } from "./clientIdFileLink.ts"
import { makeCertificateLink } from "./certificateLink.ts"
import { type LinkParts, LinksInvalid, type MakeLink } from "./MakeLink.ts"
import { makePasswordFileLink } from "./passwordFileLink.ts"
import { usersLink } from "./usersLink.ts"
import { PasswordChecks } from "./passwords/PasswordChecks.ts"

export { type LinkParts, LinksInvalid } from "./MakeLink.ts"

const databases = Effect.promise(() => import("./databaseLink.ts"))

/** What brings a library along is loaded where it is asked for. */
const makers: { readonly [Type in LinkType]: MakeLink } = {
  client_id_file: ({ auth_client_id_file }) => makeClientIdFileLink(auth_client_id_file),
  password_file: ({ auth_password_file: { path } }, { log, passwords }) => makePasswordFileLink(path, passwords, log),
  anonymous: ({ access, authentication }) =>
    Effect.succeed(anonymousLink(access.anonymous, authentication.links.length === 1)),
  certificate: makeCertificateLink,
  http: (settings, parts) =>
    Effect.flatMap(Effect.promise(() => import("./makeHttpLink.ts")), (made) => made.makeHttpLink(settings, parts)),
  jwt: (settings, parts) =>
    Effect.flatMap(Effect.promise(() => import("./jwt/makeJwtLink.ts")), (made) => made.makeJwtLink(settings, parts)),
  users: ({ auth_users }, { passwords, users }) => Effect.succeed(usersLink(auth_users, users, passwords)),
  postgres: (settings, parts) => Effect.flatMap(databases, (made) => made.makePostgresLink(settings, parts)),
  mysql: (settings, parts) => Effect.flatMap(databases, (made) => made.makeMysqlLink(settings, parts)),
  redis: (settings, parts) => Effect.flatMap(databases, (made) => made.makeRedisLink(settings, parts)),
  ldap: (settings, parts) =>
    Effect.flatMap(Effect.promise(() => import("./ldapLink.ts")), (made) => made.makeLdapLink(settings, parts))
}

export const makeLinks = Effect.fn("makeLinks")(function* (settings: Settings, parts: LinkParts) {
  const links: Array<AuthLink> = []
  const faults: Array<string> = []
  for (const type of settings.authentication.links) {
    yield* makers[type](settings, parts).pipe(
      Effect.map((link) => links.push(link)),
      Effect.catch((invalid) => Effect.sync(() => faults.push(...invalid.faults)))
    )
  }
  if (faults.length > 0) return yield* new LinksInvalid({ faults })
  return links
})

/** Those that are made without asking anybody. */
const offline: ReadonlySet<LinkType> = new Set([
  "client_id_file",
  "password_file",
  "jwt",
  "http",
  "postgres",
  "mysql",
  "redis",
  "ldap",
  "certificate",
  "anonymous"
])

/** For `emqttd check`: settings and files of the links, as far as nobody has to be asked. */
export const checkLinkFiles = (settings: Settings) => {
  const counters = new Counters()
  const passwords = new PasswordChecks(settings.authentication, counters)
  const links = settings.authentication.links.filter((type) => offline.has(type))
  const parts = {
    counters,
    passwords,
    users: { find: () => undefined },
    log: new EventLog(() => {}, () => 0, 1),
    now: () => 0
  }
  return Effect.scoped(makeLinks({ ...settings, authentication: { ...settings.authentication, links } }, parts))
}

/** For the operator, when no link knew a client. */
export const nobodyKnows = ({ access, authentication: { links } }: Settings) => {
  const unknown = `no link of authentication.links (${links.join(", ")}) knows this client`
  const anonymous = links.includes("anonymous") ? `${unknown}, and ${keptOutBy(access.anonymous)}` : unknown
  return ({ userName }: Credentials): string => userName === undefined ? anonymous : unknown
}
