// The link "ldap": the password is the right one when the directory lets its owner in. The entry's name is made of a template, or found by a
// search. Invariants: an empty password is nobody's, whatever the directory says to it; a name is a value in the directory's terms, never
// part of a name or of a filter; of two entries nobody is let in.
import { Effect } from "effect"
import { ReasonCode } from "../../mqtt/ReasonCode.ts"
import type { AuthLdapSettings } from "../../config/Settings.ts"
import { type BackendFailure, backendFailure } from "../backends/Backend.ts"
import { directoryText, directoryValue, parseDirectoryTemplate } from "../backends/directoryTemplate.ts"
import type { LdapEntry, LdapSession } from "../backends/ldapSession.ts"
import { reachable } from "../backends/makeBackend.ts"
import { SessionPool } from "../backends/SessionPool.ts"
import { type Answer, type AuthLink, type Deny, ignore } from "./AuthLink.ts"
import { answered, namesOf } from "./databaseLink.ts"
import { LinksInvalid, type MakeLink } from "./MakeLink.ts"

const denied = (reason: string): Deny => ({ _tag: "Deny", reasonCode: ReasonCode.BadUserNameOrPassword, reason })

type Asked<A> = Effect.Effect<A, BackendFailure>

class LdapLink implements AuthLink {
  readonly name = "ldap"
  readonly cacheable = true
  private readonly settings: AuthLdapSettings
  private readonly bindPassword: string
  private readonly pool: SessionPool<LdapSession>
  private readonly dn: ReturnType<typeof parseDirectoryTemplate>
  private readonly filter: ReturnType<typeof parseDirectoryTemplate>

  constructor(settings: AuthLdapSettings, bindPassword: string, pool: SessionPool<LdapSession>) {
    this.settings = settings
    this.bindPassword = bindPassword
    this.pool = pool
    this.dn = parseDirectoryTemplate(settings.dn)
    this.filter = parseDirectoryTemplate(settings.searchFilter)
  }

  check(credentials: Parameters<AuthLink["check"]>[0]): ReturnType<AuthLink["check"]> {
    const names = namesOf(credentials)
    const searches = this.settings.dn === ""
    const who = directoryText(searches ? this.filter : this.dn, names)
    if (who === undefined || credentials.password === undefined) return ignore
    const { password } = names
    if (password === undefined || password === "") return denied("no password, or one that is no text")
    return answered(
      this.pool.use((session) =>
        searches ? this.bySearch(session, who, password) : this.byName(session, who, password, undefined)
      )
    )
  }

  private bySearch(session: LdapSession, filter: string, password: string): Asked<Answer> {
    const { searchBase, userNameAttribute } = this.settings
    return Effect.gen({ self: this }, function* () {
      yield* this.asService(session)
      const entries = yield* session.search({
        base: searchBase,
        filter,
        scope: "sub",
        attributes: userNameAttribute === "" ? ["1.1"] : [userNameAttribute]
      })
      const [entry] = entries
      if (entry === undefined) return ignore
      if (entries.length > 1) return denied("search_filter finds more than one entry")
      return yield* this.byName(session, entry.dn, password, this.userNameOf(entry))
    })
  }

  private byName(session: LdapSession, dn: string, password: string, userName: string | undefined): Asked<Answer> {
    return Effect.gen({ self: this }, function* () {
      if (!(yield* session.bind(dn, password))) return denied("wrong name or password")
      return { _tag: "Allow", superuser: yield* this.isSuperuser(session, dn), userName }
    })
  }

  private isSuperuser(session: LdapSession, dn: string): Asked<boolean> {
    const { bindDn, superGroup } = this.settings
    if (superGroup === "") return Effect.succeed(false)
    const member = directoryValue(dn)
    return Effect.andThen(
      // As its member, where nobody is named who searches.
      bindDn === "" ? Effect.void : this.asService(session),
      Effect.map(
        session.search({
          base: superGroup,
          filter: `(|(member=${member})(uniqueMember=${member}))`,
          scope: "base",
          attributes: ["1.1"]
        }),
        (found) => found.length === 1
      )
    )
  }

  /** On a session where somebody else was bound before. */
  private asService(session: LdapSession): Asked<void> {
    const { bindDn } = this.settings
    return Effect.flatMap(
      bindDn === "" ? session.bindNobody : session.bind(bindDn, this.bindPassword),
      (bound) => bound ? Effect.void : Effect.fail(backendFailure("refused", "ldap: bind_dn: wrong name or password"))
    )
  }

  /** As the directory writes it: it takes "BOB" for "bob", and rules do not. */
  private userNameOf(entry: LdapEntry): string | undefined {
    const value = entry[this.settings.userNameAttribute]
    const first: unknown = Array.isArray(value) ? value[0] : value
    return typeof first === "string" && first !== "" ? first : undefined
  }
}

export const makeLdapLink: MakeLink = ({ auth_ldap: settings }, host) =>
  Effect.gen(function* () {
    const reach = yield* Effect.mapError(reachable("auth_ldap", settings), (faults) => new LinksInvalid({ faults }))
    if (settings.dn === "" && settings.searchBase === "") {
      return yield* new LinksInvalid({ faults: ["auth_ldap: dn or search_base is needed"] })
    }
    if (settings.bindDn !== "" && reach.password === "") {
      return yield* new LinksInvalid({ faults: ["auth_ldap.password: needed with bind_dn"] })
    }
    const open = Effect.flatMap(
      Effect.promise(() => import("../backends/ldapSession.ts")),
      ({ openLdap }) => openLdap("ldap", reach)
    )
    const pool = new SessionPool({ name: "ldap", settings, open, host })
    yield* Effect.addFinalizer(() => pool.close)
    return new LdapLink(settings, reach.password, pool)
  })
