// One session with an LDAP server: bind and search. Loaded only where one is asked. Invariant: wrong credentials are an answer; a session on
// which a user was bound is bound anew before it searches.
import { Effect, type Scope } from "effect"
import { Client, InvalidCredentialsError, NoSuchObjectError, ResultCodeError } from "ldapts"
import * as net from "node:net"
import { type BackendFailure, backendFailure } from "./Backend.ts"
import type { Session } from "./SessionPool.ts"
import { type ReachSettings, reasonOf, tlsOptions } from "./transport.ts"

export interface LdapEntry {
  readonly dn: string
  readonly [attribute: string]: unknown
}

export interface LdapSearch {
  readonly base: string
  readonly filter: string
  readonly scope: "sub" | "base"
  /** "1.1" is none. */
  readonly attributes: ReadonlyArray<string>
}

export interface LdapSession extends Session {
  /** False: the name or the password is wrong. An empty password is nobody's. */
  readonly bind: (dn: string, password: string) => Effect.Effect<boolean, BackendFailure>
  /** As nobody: false where the server wants somebody. */
  readonly bindNobody: Effect.Effect<boolean, BackendFailure>
  /** At most two entries: whoever looks for one has to know that there are more. */
  readonly search: (asked: LdapSearch) => Effect.Effect<ReadonlyArray<LdapEntry>, BackendFailure>
}

/** ldap://host:389, with `tls` StartTLS; ldaps://host:636; ldapi://%2Frun%2Fslapd%2Fldapi */
export const openLdap = (
  name: string,
  settings: Omit<ReachSettings, "password">
): Effect.Effect<LdapSession, BackendFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const { timeoutMillis } = settings
    const { hostname, protocol, host } = new URL(settings.url)
    const socketPath = protocol === "ldapi:" ? decodeURIComponent(host) : undefined
    const secure = protocol === "ldaps:"
    const tls = secure || settings.tls
      ? yield* tlsOptions(name, settings, socketPath === undefined ? hostname.replace(/^\[(.*)\]$/, "$1") : undefined)
      : undefined
    const client = yield* Effect.acquireRelease(
      Effect.sync(() =>
        new Client({
          url: socketPath === undefined ? settings.url : "ldap://localhost",
          connectTimeout: timeoutMillis,
          timeout: timeoutMillis,
          ...(secure && tls !== undefined ? { tlsOptions: { ...tls } } : {}),
          ...(socketPath === undefined ? {} : { createConnection: () => net.connect(socketPath) })
        })
      ),
      (made) => Effect.ignore(Effect.tryPromise(() => made.unbind()))
    )
    const away = (error: unknown) => backendFailure("away", `${name}: ${reasonOf(error)}`)
    const failed = (error: unknown) =>
      error instanceof ResultCodeError ? backendFailure("refused", `${name}: ${nameOf(error)}`) : away(error)
    if (settings.tls && !secure && tls !== undefined) {
      yield* Effect.tryPromise({ try: () => client.startTLS({ ...tls }), catch: away })
    }
    const bound = (dn: string, password: string) =>
      Effect.tryPromise({
        try: () => client.bind(dn, password),
        catch: (error) => isNobody(error) ? nobody : failed(error)
      }).pipe(
        Effect.as(true),
        Effect.catch((failure) => failure === nobody ? Effect.succeed(false) : Effect.fail(failure))
      )
    return {
      // It connects with its first request; later ones need the connection that it has.
      isOpen: () => client.isConnected,
      // [RFC 4513, 5.1.2] a name without a password is let in by some servers, as nobody.
      bind: (dn, password) => password === "" ? Effect.succeed(false) : bound(dn, password),
      bindNobody: bound("", ""),
      search: ({ attributes, base, filter, scope }) =>
        Effect.tryPromise({
          try: () => client.search(base, { scope, filter, attributes: [...attributes], sizeLimit: 2 }),
          catch: failed
        }).pipe(Effect.map(({ searchEntries }) => searchEntries))
    }
  })

/** What bind fails with where it is the client's fault. */
const nobody = "nobody"
const isNobody = (error: unknown): boolean =>
  error instanceof InvalidCredentialsError || error instanceof NoSuchObjectError

const nameOf = (error: ResultCodeError): string => `${error.name.replace(/Error$/, "")}: ${reasonOf(error)}`
