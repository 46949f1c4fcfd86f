// Bind and search against a real OpenLDAP: over its socket file, with StartTLS and with names that attack.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { openLdap } from "../../../src/access/backends/ldapSession.ts"
import { directoryText, parseDirectoryTemplate } from "../../../src/access/backends/directoryTemplate.ts"
import { certificates, opensslMissing } from "../../support/certificates.ts"
import { adminName, adminPassword, missingSlapd, SlapdServer, suffix } from "../../support/SlapdServer.ts"
import { attacks, names, withoutTls } from "./backendLog.ts"

const missing = missingSlapd ?? opensslMissing

const entries = [["bob", "bob's"], ["o'neil, jr.", "comma"], ["zoë", "ünï"]].map(([uid, password]) =>
  [
    `dn: ${directoryText(parseDirectoryTemplate(`uid=%u,${suffix}`), { ...names, userName: uid })}`,
    "objectClass: inetOrgPerson",
    `cn: ${uid}`,
    "sn: x",
    `uid: ${uid}`,
    `userPassword: ${password}`,
    ""
  ].map((line) =>
    /[^ -~]/.test(line) ? line.replace(/: (.*)$/, (_, value) => `:: ${Buffer.from(value).toString("base64")}`) : line
  ).join("\n")
).join("\n")

let server: SlapdServer | undefined
beforeAll(async () => {
  if (missing !== undefined) return
  const made = certificates()
  server = await SlapdServer.start(entries, {
    ca: made.file("ca.crt"),
    cert: made.file("server.crt"),
    key: made.file("server.key")
  })
})
afterAll(() => server?.stop())

const dn = (uid: string) => directoryText(parseDirectoryTemplate(`uid=%u,${suffix}`), { ...names, userName: uid }) ?? ""
const filter = (uid: string) => directoryText(parseDirectoryTemplate("(uid=%u)"), { ...names, userName: uid }) ?? ""

const test = (
  title: string,
  run: (
    settings: Parameters<typeof openLdap>[1],
    slapd: SlapdServer
  ) => Effect.Effect<void, unknown, import("effect").Scope.Scope>
) =>
  it.live(title, (context) => {
    context.skip(missing !== undefined, missing)
    if (server === undefined) return Effect.void
    return Effect.scoped(run({ ...withoutTls, url: server.url, timeoutMillis: 5_000 }, server))
  })

describe("ldap", () => {
  test("binds who has the password; nobody with an empty or a wrong one, or without an entry", (settings) =>
    Effect.gen(function* () {
      const session = yield* openLdap("ldap", settings)
      const answers = yield* Effect.forEach(
        [["bob", "bob's"], ["bob", "wrong"], ["bob", ""], ["eve", "x"], ["o'neil, jr.", "comma"], ["zoë", "ünï"]],
        ([uid = "", password = ""]) => session.bind(dn(uid), password)
      )
      assert.deepStrictEqual(answers, [true, false, false, false, true, true])
    }))

  test("searches as who it was bound", (settings) =>
    Effect.gen(function* () {
      const session = yield* openLdap("ldap", settings)
      assert.isTrue(yield* session.bind(adminName, adminPassword))
      for (const uid of ["bob", "o'neil, jr.", "zoë"]) {
        const found = yield* session.search({ base: suffix, filter: filter(uid), scope: "sub", attributes: ["uid"] })
        assert.deepStrictEqual(found.map((entry) => entry["uid"]), [uid])
      }
      assert.strictEqual(
        (yield* session.search({
          base: suffix,
          filter: "(objectClass=inetOrgPerson)",
          scope: "sub",
          attributes: ["uid"]
        })).length,
        2
      )
    }))

  test("names that attack are nobody's", (settings) =>
    Effect.gen(function* () {
      const session = yield* openLdap("ldap", settings)
      assert.isTrue(yield* session.bind(adminName, adminPassword))
      for (const uid of [...attacks, "*)(uid=*", "bob)(|(uid=*", `bob,${suffix}`, "b*b"]) {
        assert.deepStrictEqual(
          yield* session.search({ base: suffix, filter: filter(uid), scope: "sub", attributes: ["uid"] }),
          [],
          uid
        )
        assert.isFalse(yield* session.bind(dn(uid), "bob's"), uid)
        assert.isTrue(yield* session.bind(adminName, adminPassword))
      }
    }))

  test("StartTLS with the authority's certificate, not without", (settings, { port }) =>
    Effect.gen(function* () {
      const overTcp = { ...settings, url: `ldap://localhost:${port}`, tls: true }
      const session = yield* openLdap("ldap", { ...overTcp, ca: certificates().file("ca.crt") })
      assert.isTrue(yield* session.bind(dn("bob"), "bob's"))
      const failure = yield* Effect.flip(openLdap("ldap", overTcp))
      assert.strictEqual(failure.kind, "away")
      assert.match(failure.message, /^ldap: .*certificate/i)
    }))

  test("a server that is away is away", (settings, slapd) =>
    Effect.gen(function* () {
      const session = yield* openLdap("ldap", settings)
      yield* session.bind(dn("bob"), "bob's")
      yield* Effect.promise(() => slapd.kill())
      assert.strictEqual((yield* Effect.flip(session.bind(dn("bob"), "bob's"))).kind, "away")
      const fresh = yield* openLdap("ldap", settings)
      assert.match((yield* Effect.flip(fresh.bind(dn("bob"), "bob's"))).message, /^ldap: /)
      yield* Effect.promise(() => slapd.resume())
      const again = yield* openLdap("ldap", settings)
      assert.isTrue(yield* again.bind(dn("bob"), "bob's"))
    }))
})
