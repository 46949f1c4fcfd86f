// All databases behind one broker, as a user runs it: each link lets its own user in, over socket files; SIGHUP reads the rules again.
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import { MariaDbServer, missingMariaDb } from "../support/MariaDbServer.ts"
import { missingPostgres, PostgresServer } from "../support/PostgresServer.ts"
import { missingRedis, RedisServer } from "../support/RedisServer.ts"
import { missingSlapd, SlapdServer, suffix } from "../support/SlapdServer.ts"
import { TestClient } from "../support/TestClient.ts"
import { BrokerProcess } from "./support/BrokerProcess.ts"

const missing = missingPostgres ?? missingMariaDb ?? missingRedis ?? missingSlapd

const entry = `dn: uid=lea,${suffix}\nobjectClass: inetOrgPerson\ncn: Lea\nsn: L\nuid: lea\nuserPassword: sesame-4\n`
const userTable =
  "create table mqtt_user (username varchar(100), password varchar(100), salt varchar(40), is_superuser integer)"
const aclTable =
  "create table mqtt_acl (id integer, allow integer, ipaddr varchar(60), username varchar(100), clientid varchar(100), access integer, topic varchar(100))"
const row = (name: string, password: string) => `insert into mqtt_user values ('${name}', '${password}', null, 0)`
const rule = (name: string, topic: string) => `insert into mqtt_acl values (1, 1, null, '${name}', null, 3, '${topic}')`

const stops: Array<() => unknown> = []
let broker: BrokerProcess | undefined
let addRule: (topic: string) => void = () => {}

beforeAll(async () => {
  if (missing !== undefined) return
  const installing = MariaDbServer.start()
  const postgres = PostgresServer.start()
  stops.push(() => postgres.stop())
  for (const sql of [userTable, aclTable, row("pia", "sesame-1"), rule("pia", "pg/%u")]) postgres.query(sql)
  addRule = (topic) => void postgres.query(rule("pia", topic))
  const mysql = await installing
  stops.push(() => mysql.stop())
  for (const sql of [userTable, aclTable, row("mia", "sesame-2"), rule("mia", "my/%u")]) {
    mysql.query(`use emqttd; ${sql}`)
  }
  const redis = await RedisServer.start()
  stops.push(() => redis.stop())
  redis.command("HSET", "mqtt_user:ria", "password", "sesame-3")
  redis.command("HSET", "mqtt_acl:ria", "re/%u", "3")
  const slapd = await SlapdServer.start(entry)
  stops.push(() => slapd.stop())
  broker = await BrokerProcess.start(`
[authentication]
links = ["postgres", "mysql", "redis", "ldap"]
[authorization]
sources = [{ type = "postgres" }, { type = "mysql" }, { type = "redis" }]
no_match = "deny"
[auth_postgres]
url = "${postgres.url("public").replace("&schema=public", "")}"
password_hash = "plain"
[auth_mysql]
url = "${mysql.url()}"
password_hash = "plain"
[auth_redis]
url = "${redis.url()}"
[auth_ldap]
url = "${slapd.url}"
dn = "uid=%u,${suffix}"
[log]
level = "debug"
format = "logfmt"
`)
})
beforeEach((context) => context.skip(missing !== undefined, missing))
afterAll(async () => {
  await broker?.stop()
  for (const stop of stops) await stop()
})

const client = async (username: string, password: string) => {
  const opened = await TestClient.open(broker?.port ?? 0, 5)
  opened.sendConnect({ clientId: username, username, password: Buffer.from(password) })
  return { opened, code: (await opened.receive("connack")).reasonCode }
}
const granted = async ({ opened }: Awaited<ReturnType<typeof client>>, ...topics: ReadonlyArray<string>) => {
  opened.send({ cmd: "subscribe", messageId: 1, subscriptions: topics.map((topic) => ({ topic, qos: 0 as const })) })
  return (await opened.receive("suback")).granted.map(Number)
}

describe("a broker that asks four databases", () => {
  it("lets in whom one of them knows, with the rules of that one", async () => {
    const topics = ["pg/pia", "my/mia", "re/ria"]
    for (
      const [name, password, expected] of [
        ["pia", "sesame-1", [0, 0x87, 0x87]],
        ["mia", "sesame-2", [0x87, 0, 0x87]],
        ["ria", "sesame-3", [0x87, 0x87, 0]],
        ["lea", "sesame-4", [0x87, 0x87, 0x87]]
      ] as const
    ) {
      const right = await client(name, password)
      assert.strictEqual(right.code, 0, name)
      assert.deepStrictEqual(await granted(right, ...topics), [...expected], name)
      right.opened.drop()
      const wrong = await client(name, "sesame-5")
      assert.strictEqual(wrong.code, 0x86, name)
      wrong.opened.drop()
    }
    const nobody = await client("eve", "sesame-1")
    assert.strictEqual(nobody.code, 0x86)
    nobody.opened.drop()
    assert.notInclude(broker?.errorOutput ?? "", "sesame")
  })

  it("SIGHUP: the rules of those who are there are fetched again", async () => {
    const pia = await client("pia", "sesame-1")
    assert.deepStrictEqual(await granted(pia, "more"), [0x87])
    addRule("more")
    assert.deepStrictEqual(await granted(pia, "more"), [0x87])
    broker?.kill("SIGHUP")
    await broker?.logged(/settings read again/)
    assert.deepStrictEqual(await granted(pia, "more"), [0])
    pia.opened.drop()
  })
})
