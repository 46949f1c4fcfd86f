// The links on databases as the chain asks them: whom they allow, deny and leave to the next, against a real Redis and a real OpenLDAP. What
// SQL has of its own is in test/access/backends.
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { createHash } from "node:crypto"
import type { AuthLink, Credentials } from "../../../src/access/authentication/AuthLink.ts"
import { makeLinks } from "../../../src/access/authentication/makeLinks.ts"
import { defaultSettings, type LinkType, type Settings } from "../../../src/config/Settings.ts"
import { linkParts } from "../../support/linkParts.ts"
import { missingRedis, RedisServer } from "../../support/RedisServer.ts"
import { adminName, adminPassword, missingSlapd, SlapdServer, suffix } from "../../support/SlapdServer.ts"

const person = (uid: string, password: string) =>
  `dn: uid=${uid},ou=people,${suffix}\nobjectClass: inetOrgPerson\ncn: ${uid}\nsn: x\nuid: ${uid}\nuserPassword: ${password}\n`
const entries = [
  `dn: ou=people,${suffix}\nobjectClass: organizationalUnit\nou: people\n`,
  `dn: ou=old,${suffix}\nobjectClass: organizationalUnit\nou: old\n`,
  person("bob", "right"),
  person("root", "right"),
  person("twice", "right"),
  person("twice", "right").replace("ou=people", "ou=old"),
  `dn: cn=admins,${suffix}\nobjectClass: groupOfNames\ncn: admins\nmember: uid=root,ou=people,${suffix}\n`
].join("\n")

let redis: RedisServer | undefined
let slapd: SlapdServer | undefined
beforeAll(async () => {
  if (missingRedis === undefined) redis = await RedisServer.start()
  if (missingSlapd === undefined) slapd = await SlapdServer.start(entries)
})
afterAll(async () => {
  await redis?.stop()
  await slapd?.stop()
})

const link = (type: LinkType, change: Partial<Settings>, parts = linkParts()) =>
  makeLinks(
    { ...defaultSettings, ...change, authentication: { ...defaultSettings.authentication, links: [type] } },
    parts
  )
    .pipe(
      Effect.provide(NodeFileSystem.layer),
      Effect.flatMap(([made]) => made === undefined ? Effect.die("no link") : Effect.succeed(made))
    )

const credentials: Credentials = {
  clientId: "c1",
  userName: "bob",
  password: Buffer.from("right"),
  address: "127.0.0.1",
  listener: "tcp",
  certificateName: undefined,
  certificateSubject: undefined,
  protocolVersion: 5
}

/** "allow", "allow superuser", "deny 86 wrong password", "ignore" or "failed: why". */
const ask = (asked: AuthLink, change: Partial<Credentials> = {}): Effect.Effect<string> => {
  const answer = asked.check({ ...credentials, ...change })
  return (Effect.isEffect(answer) ? answer : Effect.succeed(answer)).pipe(
    Effect.map((given) =>
      given._tag === "Ignore"
        ? "ignore"
        : given._tag === "Deny"
        ? `deny ${given.reasonCode.toString(16)} ${given.reason}`
        : `allow${given.superuser ? " superuser" : ""}${given.userName === undefined ? "" : ` as ${given.userName}`}`
    ),
    Effect.catch(({ message }) => Effect.succeed(`failed: ${message}`))
  )
}
const password = (text: string) => ({ password: Buffer.from(text) })

describe("redis", () => {
  const test = (
    title: string,
    run: (
      redis: RedisServer,
      settings: Settings["auth_redis"]
    ) => Effect.Effect<void, unknown, import("effect").Scope.Scope>
  ) =>
    it.live(title, (context) => {
      context.skip(missingRedis !== undefined, missingRedis)
      if (redis === undefined) return Effect.void
      redis.command("FLUSHALL")
      redis.command("HSET", "mqtt_user:bob", "password", "right", "is_superuser", "0")
      redis.command("HSET", "mqtt_user:root", "password", "right", "is_superuser", "1")
      redis.command("HSET", "mqtt_user:empty", "password", "")
      return Effect.scoped(run(redis, { ...defaultSettings.auth_redis, url: redis.url() }))
    })

  test(
    "the right password is let in, a wrong one is not, an unknown name is left to the next link",
    (_, settings) =>
      Effect.gen(function* () {
        const asked = yield* link("redis", { auth_redis: settings })
        assert.strictEqual(yield* ask(asked), "allow")
        assert.strictEqual(yield* ask(asked, { userName: "root" }), "allow superuser")
        assert.strictEqual(yield* ask(asked, password("Right")), "deny 86 wrong password")
        assert.strictEqual(yield* ask(asked, { password: undefined }), "deny 86 no password")
        assert.strictEqual(yield* ask(asked, password("")), "deny 86 no password")
        assert.strictEqual(yield* ask(asked, { userName: "empty", ...password("") }), "deny 86 no password")
        assert.strictEqual(yield* ask(asked, { userName: "empty" }), "deny 86 wrong password")
        assert.strictEqual(yield* ask(asked, { userName: "eve" }), "ignore")
        assert.strictEqual(yield* ask(asked, { userName: undefined, password: undefined }), "ignore")
        assert.strictEqual(yield* ask(asked, { userName: undefined }), "ignore")
      })
  )

  test("hashed with salt, and what emqttd passwd writes", (redis, settings) =>
    Effect.gen(function* () {
      const hashed = createHash("sha256").update("pepperright").digest("hex")
      redis.command("HSET", "mqtt_user:bob", "password", hashed, "salt", "pepper")
      const salted = { ...settings, passwordHash: "salt,sha256", authCmd: "HMGET mqtt_user:%u password salt" }
      const asked = yield* link("redis", { auth_redis: salted })
      assert.deepStrictEqual([yield* ask(asked), yield* ask(asked, password("wrong"))], [
        "allow",
        "deny 86 wrong password"
      ])
      redis.command("HDEL", "mqtt_user:bob", "salt")
      assert.match(yield* ask(asked), /^failed: redis: no column salt/)
      redis.command("HSET", "mqtt_user:bob", "password", "$2b$04$abcdefghijklmnopqrstuuaNoRgelGRsJ2Tm9Zn/HHRlHib6lnzBu")
      const whole = yield* link("redis", { auth_redis: { ...settings, passwordHash: "passwd" } })
      assert.deepStrictEqual([yield* ask(whole, password("public")), yield* ask(whole)], [
        "allow",
        "deny 86 wrong password"
      ])
      redis.command("HSET", "mqtt_user:bob", "password", "public")
      assert.match(yield* ask(whole, password("public")), /^failed: redis: .*no hash that we know \(password_hash\)$/)
    }))

  test("who is not there is checked like who is: the answer takes as long", (_, settings) =>
    Effect.gen(function* () {
      const parts = linkParts()
      const checks = () => parts.counters.password_checks_total
      for (const passwordHash of ["pbkdf2,sha256,1000,20", "bcrypt", "sha256"]) {
        const asked = yield* link("redis", { auth_redis: { ...settings, passwordHash } }, parts)
        redis?.command(
          "HSET",
          "mqtt_user:bob",
          "password",
          "$2b$04$abcdefghijklmnopqrstuuaNoRgelGRsJ2Tm9Zn/HHRlHib6lnzBu"
        )
        yield* ask(asked)
        const before = checks()
        assert.strictEqual(yield* ask(asked, { userName: "eve" }), "ignore")
        assert.strictEqual(checks() - before, passwordHash === "sha256" ? 0 : 1, passwordHash)
      }
    }))

  test(
    "too many at a time are told that the server is busy; a back end that is away is a failure",
    (redis, settings) =>
      Effect.gen(function* () {
        const asked = yield* link("redis", {
          auth_redis: { ...settings, poolSize: 1, maxWaiting: 1, timeoutMillis: 400 }
        })
        redis.freeze()
        const answers = yield* Effect.ensuring(
          Effect.all([ask(asked), ask(asked), ask(asked)], { concurrency: "unbounded" }),
          Effect.sync(() => redis.thaw())
        )
        assert.strictEqual(answers[2], "deny 89 redis: 1 requests wait already (max_waiting)")
        assert.strictEqual(answers[0], "failed: redis: no answer in 400 ms")
      })
  )

  test("the broker starts without it: what fails is the question", () =>
    Effect.gen(function* () {
      const nowhere = { ...defaultSettings.auth_redis, url: "redis://localhost/0?socket=/nowhere/socket" }
      const asked = yield* link("redis", { auth_redis: nowhere })
      assert.match(yield* ask(asked), /^failed: redis: .*\/nowhere\/socket/)
    }))
})

describe("settings with a fault", () => {
  const faults = (type: LinkType, change: Partial<Settings>) =>
    Effect.scoped(Effect.map(Effect.flip(link(type, change)), (invalid) => "faults" in invalid ? invalid.faults : []))
  const { auth_ldap, auth_mysql, auth_postgres, auth_redis } = defaultSettings
  const pg = { ...auth_postgres, url: "postgres://bob@localhost/x" }

  it.effect("are told in one line each, with the setting", () =>
    Effect.gen(function* () {
      const table: ReadonlyArray<readonly [LinkType, Partial<Settings>, RegExp]> = [
        ["postgres", {}, /^auth_postgres\.url: needed$/],
        [
          "postgres",
          { auth_postgres: { ...pg, authQuery: `select "%u"` } },
          /^auth_postgres\.auth_query: %u stands in a quoted name/
        ],
        [
          "mysql",
          { auth_mysql: { ...auth_mysql, superQuery: "select ?" } },
          /^auth_mysql\.super_query: \? is no placeholder/
        ],
        [
          "postgres",
          { auth_postgres: { ...pg, passwordHash: "rot13" } },
          /^auth_postgres\.password_hash: expected "plain"/
        ],
        [
          "postgres",
          { auth_postgres: { ...pg, aclQuery: "select '%P'" } },
          /^auth_postgres\.acl_query: %P is not known/
        ],
        ["postgres", { auth_postgres: { ...pg, passwordHash: "in_query" } }, /"in_query" needs %P in auth_query$/],
        [
          "postgres",
          { auth_postgres: { ...pg, password: Redacted.make("file:///nowhere/pw") } },
          /^\/nowhere\/pw: no such file \(auth_postgres\.password\)$/
        ],
        [
          "redis",
          { auth_redis: { ...auth_redis, url: "redis://x", authCmd: "%u x" } },
          /^auth_redis\.auth_cmd: the command's name/
        ],
        ["ldap", {}, /^auth_ldap\.url: needed$/],
        ["ldap", { auth_ldap: { ...auth_ldap, url: "ldap://x" } }, /^auth_ldap: dn or search_base is needed$/],
        [
          "ldap",
          { auth_ldap: { ...auth_ldap, url: "ldap://x", dn: "uid=%u", bindDn: "cn=x" } },
          /^auth_ldap\.password: needed/
        ]
      ]
      for (const [type, change, fault] of table) {
        const told = yield* faults(type, change)
        assert.strictEqual(told.length, 1, String(fault))
        assert.match(String(told[0]), fault)
      }
    }))
})

describe("ldap", () => {
  const test = (
    title: string,
    run: (settings: Settings["auth_ldap"]) => Effect.Effect<void, unknown, import("effect").Scope.Scope>
  ) =>
    it.live(title, (context) => {
      context.skip(missingSlapd !== undefined, missingSlapd)
      if (slapd === undefined) return Effect.void
      return Effect.scoped(run({ ...defaultSettings.auth_ldap, url: slapd.url, poolSize: 1 }))
    })
  const searching = {
    searchBase: suffix,
    bindDn: adminName,
    password: Redacted.make(adminPassword),
    superGroup: `cn=admins,${suffix}`
  }

  test("by the name of the entry", (settings) =>
    Effect.gen(function* () {
      const asked = yield* link("ldap", { auth_ldap: { ...settings, dn: `uid=%u,ou=people,${suffix}` } })
      assert.strictEqual(yield* ask(asked), "allow")
      assert.strictEqual(yield* ask(asked, password("wrong")), "deny 86 wrong name or password")
      assert.strictEqual(yield* ask(asked, password("")), "deny 86 no password, or one that is no text")
      assert.strictEqual(
        yield* ask(asked, { password: Uint8Array.of(0xff) }),
        "deny 86 no password, or one that is no text"
      )
      assert.strictEqual(yield* ask(asked, { userName: "eve" }), "deny 86 wrong name or password")
      assert.strictEqual(yield* ask(asked, { userName: `bob,ou=people,${suffix}` }), "deny 86 wrong name or password")
      assert.strictEqual(yield* ask(asked, { userName: "" }), "ignore")
      assert.strictEqual(yield* ask(asked, { userName: undefined }), "ignore")
    }))

  test("by a search: the directory's spelling holds, groups make superusers, nobody by two entries", (settings) =>
    Effect.gen(function* () {
      const asked = yield* link("ldap", { auth_ldap: { ...settings, ...searching } })
      assert.strictEqual(yield* ask(asked, { userName: "BOB" }), "allow as bob")
      assert.strictEqual(yield* ask(asked, { userName: "root" }), "allow superuser as root")
      assert.strictEqual(yield* ask(asked, password("wrong")), "deny 86 wrong name or password")
      assert.strictEqual(yield* ask(asked, { userName: "eve" }), "ignore")
      assert.strictEqual(yield* ask(asked, { userName: "*" }), "ignore")
      assert.strictEqual(yield* ask(asked, { userName: "bob)(uid=*" }), "ignore")
      assert.strictEqual(yield* ask(asked, { userName: "twice" }), "deny 86 search_filter finds more than one entry")
    }))

  test("a wrong password of the broker's own, a base that is not there: one line", (settings) =>
    Effect.gen(function* () {
      const wrong = yield* link("ldap", {
        auth_ldap: { ...settings, ...searching, password: Redacted.make("hunter2") }
      })
      assert.strictEqual(yield* ask(wrong), "failed: ldap: bind_dn: wrong name or password")
      const nowhere = yield* link("ldap", {
        auth_ldap: { ...settings, ...searching, searchBase: `ou=nowhere,${suffix}` }
      })
      assert.match(yield* ask(nowhere), /^failed: ldap: NoSuchObject/)
    }))
})
