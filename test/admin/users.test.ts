// The built-in users over the management API of a real broker: they come in with their password, at once and after a restart, and nobody else.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { DatabaseSync } from "node:sqlite"
import * as path from "node:path"
import type { Settings } from "../../src/config/Settings.ts"
import { awaitGroup } from "../../src/store/awaitGroup.ts"
import { adminCall } from "../support/adminCall.ts"
import { frame, text } from "../support/bytes.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import { connectBytes, props } from "../support/packets.ts"
import { clientFinal } from "../support/scramClient.ts"

interface Chosen {
  readonly dataDir?: string
  readonly key?: "client_id"
  readonly maxUsers?: number
  readonly mechanisms?: Settings["auth_scram"]["mechanisms"]
}

const withUsers =
  ({ dataDir, key = undefined, maxUsers = 10, mechanisms = ["SCRAM-SHA-256"] }: Chosen = {}) =>
  (settings: Settings): Settings => ({
    ...settings,
    node: { ...settings.node, dataDir: dataDir ?? settings.node.dataDir },
    authentication: { ...settings.authentication, links: ["users"] },
    auth_users: { key: key ?? "user_name", maxUsers },
    auth_scram: { mechanisms, iterations: 4_096 }
  })

/** The reason code of its CONNACK. */
const knock = async (inner: InnerBroker, username: string, password: string, clientId = "c1"): Promise<number> => {
  const client = await inner.open(5)
  client.sendConnect({ clientId, username, password: Buffer.from(password) })
  const { reasonCode } = await client.receive("connack")
  client.drop()
  return reasonCode ?? -1
}

const scramIn = async (inner: InnerBroker, name: string, password: string): Promise<number> => {
  const method = "SCRAM-SHA-256"
  const client = await inner.open(5)
  const bare = `n=${name},r=nonce`
  client.send(connectBytes(5, { clientId: "s1", properties: ["15", text(method), "16", text(`n,,${bare}`)] }))
  const { properties } = await client.receive("auth", { reasonCode: 0x18 })
  const final = clientFinal(method, password, bare, properties?.authenticationData?.toString() ?? "")
  client.send(frame(0xf0, 0x18, props(5, "15", text(method), "16", text(final))))
  const { reasonCode } = await client.receive("connack")
  client.drop()
  return reasonCode ?? -1
}

const broker = async (chosen: Chosen, run: (inner: InnerBroker) => Promise<void>) => {
  const inner = await startInnerBroker(withUsers(chosen))
  try {
    await run(inner)
  } finally {
    await inner.stop()
  }
}

describe("built-in users", () => {
  it("come in with their password alone, are changed and deleted while it runs, and are there after a restart", () =>
    broker({}, async (first) => {
      const { dataDir } = first.broker.services.settings.node
      assert.strictEqual(await knock(first, "bob", "pencil"), 0x86)
      const added = await adminCall(first, "POST", "/api/v1/users/", { name: "bob", password: "pencil" })
      assert.strictEqual(added.status, 204, JSON.stringify(added.body))
      const admin = { name: "root", password: "s3cret", superuser: true }
      assert.strictEqual((await adminCall(first, "POST", "/api/v1/users/", admin)).status, 204)
      for (const _ of ["", "remembered"]) assert.strictEqual(await knock(first, "bob", "pencil"), 0)
      const nobody = await first.open(5)
      nobody.sendConnect({ clientId: "c1" })
      await nobody.receive("connack", { reasonCode: 0x87 })
      assert.strictEqual(await scramIn(first, "bob", "pencil"), 0)
      for (const wrong of ["Pencil", "", "pencil ", "s3cret"]) {
        assert.strictEqual(await knock(first, "bob", wrong), 0x86, wrong)
      }
      const { body } = await adminCall(first, "GET", "/api/v1/users/")
      assert.deepStrictEqual(body, {
        total: 2,
        users: [
          { name: "bob", superuser: false, scram: ["SCRAM-SHA-256"] },
          { name: "root", superuser: true, scram: ["SCRAM-SHA-256"] }
        ]
      })
      const changed = await adminCall(first, "PUT", "/api/v1/users/bob/password", { password: "brush" })
      assert.strictEqual(changed.status, 204)
      assert.strictEqual(await knock(first, "bob", "pencil"), 0x86)
      assert.strictEqual(await knock(first, "bob", "brush"), 0)
      assert.notMatch(first.lines.join("\n"), /pencil|brush|s3cret|pbkdf2/)

      await first.end()
      await (async () => {
        const second = await startInnerBroker(withUsers({ dataDir }))
        assert.deepStrictEqual((await adminCall(second, "GET", "/api/v1/users/")).body, body)
        assert.strictEqual(await knock(second, "bob", "brush"), 0)
        assert.strictEqual(await scramIn(second, "bob", "brush"), 0)
        assert.strictEqual(await scramIn(second, "bob", "pencil"), 0x87)
        const root = await second.connect(5, { username: "root", password: Buffer.from("s3cret") })
        assert.isTrue(second.connection(root.clientId).subject.superuser)
        assert.strictEqual((await adminCall(second, "DELETE", "/api/v1/users/bob")).status, 204)
        assert.strictEqual((await adminCall(second, "DELETE", "/api/v1/users/bob")).status, 404)
        assert.strictEqual(await knock(second, "bob", "brush"), 0x86)
        assert.strictEqual(await scramIn(second, "bob", "brush"), 0x87)
        assert.strictEqual(
          (await adminCall(second, "PUT", "/api/v1/users/root/password", { password: "other" })).status,
          204
        )
        await second.end()
        // Who is gone stays gone, and a superuser with another password is one still.
        const third = await startInnerBroker(withUsers({ dataDir }))
        assert.strictEqual((await adminCall(third, "GET", "/api/v1/users/")).body.total, 1)
        const again = await third.connect(5, { username: "root", password: Buffer.from("other") })
        assert.isTrue(third.connection(again.clientId).subject.superuser)
        await third.end()
      })()
    }))

  it("a name is any text; what is none, what is empty or too long, one twice and one too many are refused", () =>
    broker({ maxUsers: 4 }, async (inner) => {
      const add = (name: string, password = "x") => adminCall(inner, "POST", "/api/v1/users/", { name, password })
      const odd = ["'; DROP TABLE record; --", "../+/#", "a,b=c\u{1F600}", "%u"]
      for (const name of odd) assert.strictEqual((await add(name)).status, 204, name)
      for (const name of odd) assert.strictEqual(await knock(inner, name, "x"), 0, name)
      const refused = async (name: string, password: string, message: RegExp) => {
        const { body, status } = await add(name, password)
        assert.strictEqual(status, 409)
        assert.match(body.message, message)
      }
      await refused("%u", "x", /already/)
      await refused("one more", "x", /max_users/)
      await refused("", "x", /empty name/)
      await refused("a\0", "x", /U\+0000/)
      await refused("a".repeat(65_536), "x", /65,535 bytes/)
      await refused("b", "", /empty password/)
      await refused("b", "x".repeat(1_025), /1,024 bytes/)
      const page = await adminCall(inner, "GET", `/api/v1/users/?limit=2&after=${encodeURIComponent("%u")}`)
      assert.deepStrictEqual(page.body.users.map(({ name }: { name: string }) => name), odd.toSorted().slice(1, 3))
      const encoded = encodeURIComponent("../+/#")
      assert.strictEqual(
        (await adminCall(inner, "PUT", `/api/v1/users/${encoded}/password`, { password: "y" })).status,
        204
      )
      assert.strictEqual(await knock(inner, "../+/#", "y"), 0)
      assert.strictEqual(
        (await adminCall(inner, "PUT", "/api/v1/users/nobody/password", { password: "y" })).status,
        404
      )
    }))

  it("a reload: the bound, and SCRAM switched on; the salts of nobody outlast the process", () =>
    broker({ maxUsers: 1, mechanisms: [] }, async (first) => {
      const { dataDir } = first.broker.services.settings.node
      const { settings } = first.broker.services
      const change = (inner: InnerBroker, maxUsers: number, mechanisms: Settings["auth_scram"]["mechanisms"]) =>
        Effect.runPromise(inner.broker.reload({
          ...settings,
          auth_users: { ...settings.auth_users, maxUsers },
          auth_scram: { ...settings.auth_scram, mechanisms }
        }))
      const add = (name: string) => adminCall(first, "POST", "/api/v1/users/", { name, password: "x" })
      assert.strictEqual((await add("bob")).status, 204)
      assert.strictEqual((await add("eve")).status, 409)
      await change(first, 2, [])
      assert.strictEqual((await add("eve")).status, 204)
      const users = (await adminCall(first, "GET", "/api/v1/users/")).body.users
      assert.deepStrictEqual(users.map(({ scram }: { scram: unknown }) => scram), [[], []])
      const salt = async (inner: InnerBroker) => {
        const client = await inner.open(5)
        const data = text("n,,n=nobody,r=x")
        client.send(connectBytes(5, { clientId: "s1", properties: ["15", text("SCRAM-SHA-256"), "16", data] }))
        const { properties } = await client.receive("auth", { reasonCode: 0x18 })
        client.drop()
        return /s=([^,]+)/.exec(properties?.authenticationData?.toString() ?? "")?.[1]
      }
      await change(first, 2, ["SCRAM-SHA-256"])
      const { journal } = first.broker.services
      await Effect.runPromise(awaitGroup(journal, journal.group - 1))
      const before = await salt(first)
      await first.end()
      const second = await startInnerBroker(withUsers({ dataDir }))
      assert.strictEqual(await salt(second), before)
      await second.end()
    }))

  it("kick: who is connected as that user goes with 0x98, when it is removed and when its password is changed", () =>
    broker({}, async (inner) => {
      for (const name of ["bob", "eve"]) await adminCall(inner, "POST", "/api/v1/users/", { name, password: "x" })
      const comesIn = (username: string) => inner.connect(5, { username, password: Buffer.from("x") })
      const stays = await comesIn("eve")
      const first = [await comesIn("bob"), await comesIn("bob")]
      await adminCall(inner, "PUT", "/api/v1/users/bob/password", { password: "x" })
      for (const client of first) await client.ping()
      await adminCall(inner, "PUT", "/api/v1/users/bob/password", { password: "x", kick: true })
      for (const client of first) await client.receive("disconnect", { reasonCode: 0x98 })
      const second = await comesIn("bob")
      assert.strictEqual((await adminCall(inner, "DELETE", "/api/v1/users/bob?kick=true")).status, 204)
      await second.receive("disconnect", { reasonCode: 0x98 })
      // Removed already, here or on another node of the cluster: its clients are sent away all the same.
      assert.strictEqual((await adminCall(inner, "DELETE", "/api/v1/users/eve")).status, 204)
      await stays.ping()
      assert.strictEqual((await adminCall(inner, "DELETE", "/api/v1/users/eve?kick=true")).status, 404)
      await stays.receive("disconnect", { reasonCode: 0x98 })
    }))

  it("by client id where the setting says so, also in SCRAM", () =>
    broker({ key: "client_id" }, async (inner) => {
      for (const name of ["c1", "s1", "other"]) {
        await adminCall(inner, "POST", "/api/v1/users/", { name, password: "x" })
      }
      assert.strictEqual(await knock(inner, "anything", "x", "c1"), 0)
      assert.strictEqual(await knock(inner, "c1", "x", "c2"), 0x86)
      assert.strictEqual(await scramIn(inner, "s1", "x"), 0)
      assert.strictEqual(await scramIn(inner, "other", "x"), 0x87)
    }))

  it("a record that is no user is named in the log, and the others are there", () =>
    broker({}, async (first) => {
      const { dataDir } = first.broker.services.settings.node
      for (const name of ["a", "b"]) await adminCall(first, "POST", "/api/v1/users/", { name, password: "x" })
      const value = new TextEncoder().encode('{"password":"x","superuser":true,"scram":{}}')
      const { journal } = first.broker.services
      await Effect.runPromise(awaitGroup(journal, journal.putRecord("user", "a", value)))
      await first.end()
      const second = await startInnerBroker(withUsers({ dataDir }))
      assert.strictEqual(await knock(second, "b", "x"), 0)
      assert.strictEqual(await knock(second, "a", "x"), 0x86)
      assert.isTrue(second.lines.some((line) => /a record cannot be understood .*"kind":"user","key":"a"/.test(line)))
      await second.end()
      // No password stands in the store.
      const database = new DatabaseSync(path.join(dataDir, "store.sqlite"), { readOnly: true })
      const rows = database.prepare("SELECT body FROM record WHERE key = 'b'").all()
      database.close()
      assert.lengthOf(rows, 1)
    }))
})
