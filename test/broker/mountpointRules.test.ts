// Access rules are about the topics that clients write, whatever mount point their listener puts in front; as in the original.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { defaultListener } from "../../src/config/Settings.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import { type ConnectOptions, TestClient, type Version } from "../support/TestClient.ts"

const rules = `{deny, all, publish, ["locked", "own/free"]}.
{deny, all, subscribe, ["secret/#", {eq, "#"}]}.
{allow, all, pubsub, ["#"]}.
`

const mountpoints = { own: "own/%c/", other: "other/", whole: "" }

describe("access rules behind a mount point", () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-rules-"))
  let broker: InnerBroker
  const clients: Array<TestClient> = []
  beforeAll(async () => {
    const file = path.join(directory, "acl.config")
    fs.writeFileSync(file, rules)
    broker = await startInnerBroker((settings) => ({
      ...settings,
      authorization: { ...settings.authorization, sources: [{ type: "acl_config", path: file }] },
      listeners: Object.entries(mountpoints).map(([name, mountpoint]) => ({
        ...defaultListener,
        name,
        address: "127.0.0.1",
        port: 0,
        mountpoint
      }))
    }))
  })
  afterAll(async () => {
    for (const client of clients) client.drop()
    await broker.stop()
    fs.rmSync(directory, { recursive: true, force: true })
  })

  let serial = 0
  const client = async (listener: keyof typeof mountpoints, version: Version = 5, options: ConnectOptions = {}) => {
    const port = broker.broker.addresses.find(({ name }) => name === listener)?.port ?? 0
    const opened = await TestClient.open(port, version, "tcp")
    clients.push(opened)
    return opened.connect({ clientId: `m${++serial}`, ...options })
  }

  it("a PUBLISH, a SUBSCRIBE and a will are judged as their client wrote them", async () => {
    const watcher = await client("whole")
    await watcher.subscribe("own/+/+")
    const own = await client("own", 5, {
      clientId: "free",
      will: { topic: "locked", payload: Buffer.from("x"), qos: 0, retain: false }
    })
    const publish = async (topic: string, messageId: number, reasonCode: number) => {
      own.send({ cmd: "publish", topic, payload: "x", qos: 1, messageId, dup: false, retain: false })
      await own.receive("puback", { reasonCode })
    }
    await publish("locked", 1, 0x87)
    // Its whole topic is "own/free/a": no rule is about that.
    await publish("a", 2, 0)
    await watcher.receive("publish", { topic: "own/free/a" })
    assert.strictEqual(await own.subscribe("secret/x"), 0x87)
    assert.strictEqual(await own.subscribe("#"), 0x87)
    assert.strictEqual(await own.subscribe("$share/g/secret/#"), 0x87)
    assert.strictEqual(await own.subscribe("a"), 0)
    assert.include(broker.lines.join("\n"), '"topic":"locked"')
    own.send("00 00")
    await own.receive("disconnect")
    await watcher.expectNothing()
    assert.strictEqual(broker.broker.counters.wills_denied_total, 1)
  })

  it("a denied filter is one line in the log", async () => {
    const own = await client("own")
    await own.subscribe("secret/once")
    const lines = broker.lines.filter((line) => line.includes("secret/once"))
    assert.lengthOf(lines, 1)
    assert.match(lines[0] ?? "", /^subscription denied .*acl\.config:2"/)
  })

  it("a session resumed behind another mount point keeps nothing of the former one", async () => {
    const kept = { clientId: "moves", clean: false, properties: { sessionExpiryInterval: 60 } }
    const own = await client("own", 5, kept)
    await own.subscribe("a/#")
    await own.subscribe("$share/g/b")
    await own.disconnect()
    const again = await client("own", 5, kept)
    assert.deepStrictEqual(broker.session("moves").subscriptions?.topicFilters(), [
      "own/moves/a/#",
      "$share/g/own/moves/b"
    ])
    await again.disconnect()
    const other = await client("other", 5, kept)
    assert.isTrue(other.connack.sessionPresent)
    assert.deepStrictEqual(broker.session("moves").subscriptions?.topicFilters(), [])
  })
})
