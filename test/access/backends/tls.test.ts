// The way to each database over TCP with TLS: the server's certificate is checked, or nobody is asked.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Backend } from "../../../src/access/backends/Backend.ts"
import { makeMysql, makePostgres, makeRedis } from "../../../src/access/backends/makeBackend.ts"
import { type BackendSettings, defaultSettings } from "../../../src/config/Settings.ts"
import { certificates, opensslMissing } from "../../support/certificates.ts"
import { MariaDbServer, missingMariaDb } from "../../support/MariaDbServer.ts"
import { missingPostgres, PostgresServer } from "../../support/PostgresServer.ts"
import { missingRedis, RedisServer } from "../../support/RedisServer.ts"
import { freePort } from "../../support/freePort.ts"
import { host, made, names } from "./backendLog.ts"

const missing = opensslMissing ?? missingPostgres ?? missingMariaDb ?? missingRedis
const stops: Array<() => unknown> = []
let postgresUrl = ""
let mysqlUrl = ""
let redisUrl = ""

beforeAll(async () => {
  if (missing !== undefined) return
  const made = certificates()
  const files = { ca: made.file("ca.crt"), cert: made.file("server.crt"), key: made.file("server.key") }
  const port = await freePort()
  const installing = MariaDbServer.start(files)
  const postgres = PostgresServer.start({ ...files, port })
  stops.push(() => postgres.stop())
  postgresUrl = `postgres://emqttd@localhost:${port}/postgres`
  const mysql = await installing
  stops.push(() => mysql.stop())
  mysql.query("create user broker@'%' require ssl")
  mysqlUrl = `mysql://broker@localhost:${mysql.port}/`
  const redis = await RedisServer.start(files)
  stops.push(() => redis.stop())
  redis.command("SET", "pw:bob", "tls")
  redisUrl = `redis://localhost:${redis.port}/0`
})
afterAll(async () => {
  for (const stop of stops) await stop()
})

const { auth_mysql, auth_postgres, auth_redis } = defaultSettings
/** The password that they find is how they were asked. */
const backends: ReadonlyArray<readonly [string, (change: Partial<BackendSettings>) => ReturnType<typeof makeRedis>]> = [
  ["postgres", (change) =>
    makePostgres({
      ...auth_postgres,
      authQuery: "select version as password from pg_stat_ssl where pid = pg_backend_pid() and '%u' = 'bob'",
      url: postgresUrl,
      ...change
    }, host())],
  ["mysql", (change) =>
    makeMysql({
      ...auth_mysql,
      authQuery:
        "select variable_value as password from information_schema.session_status where variable_name = 'Ssl_version' and '%u' = 'bob'",
      url: mysqlUrl,
      ...change
    }, host())],
  ["redis", (change) => makeRedis({ ...auth_redis, authCmd: "GET pw:%u", url: redisUrl, ...change }, host())]
]
const asked = (backend: Backend) => Effect.map(backend.findUser(names), (user) => user?.password)

describe("TLS", () => {
  for (const [name, make] of backends) {
    it.live(`${name}: with the authority, or without looking, and not otherwise`, (context) => {
      context.skip(missing !== undefined, missing)
      if (missing !== undefined) return Effect.void
      return Effect.scoped(Effect.gen(function* () {
        const ask = (change: Partial<BackendSettings>) => Effect.flatMap(made(make({ tls: true, ...change })), asked)
        assert.match(String(yield* ask({ ca: certificates().file("ca.crt") })), /^(?:TLSv1|tls)/)
        assert.match(String(yield* ask({ tlsVerify: false })), /^(?:TLSv1|tls)/)
        const unknown = yield* Effect.flip(ask({}))
        assert.strictEqual(unknown.kind, "away")
        assert.match(unknown.message, new RegExp(`^${name}: .*(?:certificate|UnknownIssuer)`, "i"))
        const noFile = yield* Effect.flip(ask({ ca: "/nowhere/ca.crt" }))
        assert.strictEqual(noFile.message, `${name}: /nowhere/ca.crt cannot be read`)
      }))
    })
  }
})
