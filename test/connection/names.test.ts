// Names that are made to be more than a name: nobody gets where another one is, by rules with %u and %c, by mount points, by the log.
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { formatJson, formatLogfmt } from "../../src/cli/logging.ts"
import { defaultListener } from "../../src/config/Settings.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import { wireSettings } from "../support/Wire.ts"

/** User names and client ids of an attacker. The client "victim" is the one that they are after. */
const names = [
  "+",
  "#",
  "+/+",
  "victim/#",
  "victim/",
  "/victim",
  "../victim",
  "x/../victim",
  "victim/x",
  "%u",
  "%c",
  "%u/%c",
  "${user}",
  "{{clientid}}",
  "$SYS",
  "$share/g/own",
  "victim' OR '1'='1",
  `victim"; DROP TABLE mqtt_user; --`,
  'victim\nlevel=info msg="client authenticated"',
  "victim\u202e",
  "vict\u0456m",
  "victim ",
  "*)(uid=*))(|(uid=*",
  "victim\r\nAUTH x",
  "__proto__",
  "constructor"
] as const

const filters = [
  "own/victim/#",
  "own/victim/a",
  "own/+/a",
  "own/#",
  "dev/victim/#",
  "dev/+/#",
  "#",
  "+/#",
  "+/+/a",
  "/#",
  "$SYS/#",
  "$share/g/own/victim/#",
  "$share/g/#",
  "$queue/own/victim/#",
  "$local/own/victim/#"
] as const

let inner: InnerBroker
let directory = ""
beforeAll(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-names-"))
  const rules = path.join(directory, "acl.config")
  fs.writeFileSync(rules, `{allow, all, pubsub, ["own/%u/#", "dev/%c/#"]}.\n{deny, all}.\n`)
  inner = await startInnerBroker((settings) => ({
    ...settings,
    authorization: { ...settings.authorization, sources: [{ type: "acl_config", path: rules }], noMatch: "deny" },
    listeners: [{ ...defaultListener, ...wireSettings(), address: "127.0.0.1", port: 0 }]
  }))
})
afterAll(async () => {
  await inner.stop()
  fs.rmSync(directory, { recursive: true, force: true })
})

describe("a name that is more than a name", () => {
  it("the victim itself may", async () => {
    const victim = await inner.connect(5, { clientId: "victim", username: "victim" })
    for (const filter of ["own/victim/#", "dev/victim/#", "$share/g/own/victim/#"]) {
      assert.strictEqual(await victim.subscribe(filter), 0, filter)
    }
    await victim.disconnect()
  })

  for (
    const [as, clientIdOf, userNameOf] of [
      ["user name", (index: number) => `attacker${index}`, (name: string) => name],
      ["client id", (_: number, name: string) => name, () => "attacker"]
    ] as const
  ) {
    it.each(names.map((name, index) => [name, index] as const))(`as ${as}: %j`, async (name, index) => {
      const client = await inner.connect(5, { clientId: clientIdOf(index, name), username: userNameOf(name) })
      for (const filter of filters) assert.strictEqual(await client.subscribe(filter), 0x87, filter)
      for (const topic of ["own/victim/a", "dev/victim/a", "own/a", "$SYS/x"]) {
        client.send({ cmd: "publish", topic, payload: "x", qos: 1, messageId: 9, dup: false, retain: false })
        assert.strictEqual((await client.receive("puback")).reasonCode, 0x87, topic)
      }
      await client.disconnect()
    })
  }

  it("a will is published by the same rules", async () => {
    const watcher = await inner.connect(5, { clientId: "victim", username: "victim" })
    await watcher.subscribe("own/victim/#")
    const before = inner.broker.counters.wills_denied_total
    const attacker = await inner.connect(5, {
      clientId: "a",
      username: "+",
      will: { topic: "own/victim/w", payload: Buffer.from("x"), qos: 0, retain: true }
    })
    attacker.send({ cmd: "disconnect", reasonCode: 4 })
    await attacker.expectClosed()
    await watcher.ping()
    assert.strictEqual(inner.broker.counters.wills_denied_total, before + 1)
    assert.strictEqual(inner.broker.services.retainer.count, 0)
    await watcher.disconnect()
  })
})

describe("a mount point of a name that is none", () => {
  const mounted = async (template: string): Promise<InnerBroker> =>
    startInnerBroker((settings) => ({
      ...settings,
      listeners: [{ ...defaultListener, ...wireSettings(), address: "127.0.0.1", port: 0, mountpoint: template }]
    }))
  for (
    const [template, options, code] of [
      ["tenant/%u/", (name: string) => ({ clientId: "c", username: name }), 0x86],
      ["tenant/%c/", (name: string) => ({ clientId: name, username: "u" }), 0x85]
    ] as const
  ) {
    it(template, async () => {
      const broker = await mounted(template)
      for (const name of ["+", "#", "a/b", "a/", "/", "victim/#"]) {
        const client = await broker.open(5)
        client.sendConnect(options(name))
        assert.strictEqual((await client.receive("connack")).reasonCode, code, name)
        await client.expectClosed()
      }
      await broker.stop()
    })
  }
})

describe("the log", () => {
  it("a name begins no line and ends none", () => {
    for (const name of names) {
      const record = {
        at: "t",
        level: "warning",
        message: "connection refused",
        fields: [["client_id", name], ["user_name", name]] as const
      }
      for (const line of [formatLogfmt(record), formatJson(record)]) assert.notMatch(line, /[\n\r\u001b]/)
      assert.deepInclude(JSON.parse(formatJson(record)), { client_id: name, user_name: name })
    }
  })
})
