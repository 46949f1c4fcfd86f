// The built-in rules over the management API of a real broker: they hold at once, for clients that are there, and after a restart.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { defaultSettings, type Settings } from "../../src/config/Settings.ts"
import { adminCall } from "../support/adminCall.ts"
import type { TestClient } from "../support/TestClient.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"

const withBuiltIn = (dataDir?: string) => (settings: Settings): Settings => ({
  ...settings,
  node: { ...settings.node, dataDir: dataDir ?? settings.node.dataDir },
  authorization: {
    ...defaultSettings.authorization,
    sources: [{ type: "built_in", path: "" }],
    maxBuiltInRules: 3
  }
})

/** 0x10: allowed, and nobody was there to get it. */
const publishes = async (client: TestClient, reasonCode: number) => {
  const messageId = client.nextPacketIdentifier()
  client.send({ cmd: "publish", topic: "a", payload: "", qos: 1, dup: false, retain: false, messageId })
  await client.receive("puback", { messageId, reasonCode })
}

describe("built-in rules", () => {
  it("hold from the next packet on, the first that matches decides, and they are there after a restart", async () => {
    const first = await startInnerBroker(withBuiltIn())
    const { dataDir } = first.broker.services.settings.node
    try {
      const client = await first.connect(5, { clientId: "c1", username: "bob" })
      await publishes(client, 0x10)
      const denied = await adminCall(first, "POST", "/api/v1/rules/", { rule: { effect: "deny", topics: ["a"] } })
      assert.deepStrictEqual(denied, { status: 200, body: { number: 1, asked: true } })
      await publishes(client, 0x87)
      assert.match(first.lines.find((line) => /denied/.test(line)) ?? "", /"by":"built_in:1"/)
      const rule = { effect: "allow", action: "publish", user: "bob", topics: ["a"] }
      assert.strictEqual((await adminCall(first, "POST", "/api/v1/rules/", { rule, before: 1 })).status, 200)
      await publishes(client, 0x10)
      const { body } = await adminCall(first, "GET", "/api/v1/rules/")
      assert.deepStrictEqual(body, [{ number: 2, rule }, { number: 1, rule: { effect: "deny", topics: ["a"] } }])
      // A reload of the files keeps them.
      await Effect.runPromise(first.broker.reload(first.broker.services.settings))
      await publishes(client, 0x10)
      const second = await restarted(first, dataDir)
      assert.deepStrictEqual((await adminCall(second, "GET", "/api/v1/rules/")).body, body)
      const again = await second.connect(5, { clientId: "c2", username: "eve" })
      await publishes(again, 0x87)
      assert.strictEqual((await adminCall(second, "DELETE", "/api/v1/rules/1")).status, 204)
      await publishes(again, 0x10)
      await second.stop()
    } finally {
      await first.stop()
    }
  })

  it("what is no rule is refused with what is wrong; so is one too many, and one that is not there is not found", async () => {
    const inner = await startInnerBroker(withBuiltIn())
    try {
      const add = (rule: unknown, before?: number) => adminCall(inner, "POST", "/api/v1/rules/", { rule, before })
      const bad = await add({ effect: "allow", topics: ["a/#/b"] })
      assert.strictEqual(bad.status, 409)
      assert.match(bad.body.message, /^topics: expected a topic filter/)
      assert.strictEqual((await add("allow all")).status, 400)
      assert.strictEqual((await add({ effect: "allow" }, 9)).body.message, "there is no rule 9")
      for (let count = 0; count < 3; count++) assert.strictEqual((await add({ effect: "allow" })).status, 200)
      assert.match((await add({ effect: "allow" })).body.message, /max_built_in_rules/)
      assert.strictEqual((await adminCall(inner, "DELETE", "/api/v1/rules/77")).status, 404)
    } finally {
      await inner.stop()
    }
  })
})

/** The same data directory under a new broker; the first one has ended. */
const restarted = async (first: InnerBroker, dataDir: string): Promise<InnerBroker> => {
  await first.end()
  return startInnerBroker(withBuiltIn(dataDir))
}
