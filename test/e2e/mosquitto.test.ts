// mosquitto_pub and mosquitto_sub, the clients that everybody has at hand, against the broker as a process.
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import { BrokerProcess } from "./support/BrokerProcess.ts"
import type { Inbox } from "./support/Inbox.ts"
import { endAll, missing, mosquittoPub, mosquittoSub } from "./support/mosquittoClients.ts"
import { qualities, uniqueName, type Version, versions } from "./support/MqttClient.ts"

const v5: Version = { name: "5", level: 5 }
let broker: BrokerProcess | undefined
beforeAll(async () => {
  if (missing === undefined) broker = await BrokerProcess.start()
})
beforeEach((context) => context.skip(missing !== undefined, missing))
afterEach(endAll)
afterAll(() => broker?.stop())

const untilLine = async (lines: Inbox<string>, text: string): Promise<Array<string>> => {
  const seen: Array<string> = []
  while (seen.at(-1)?.includes(text) !== true) seen.push(await lines.next())
  return seen
}

const port = (): number => broker?.port ?? 0

describe.each(versions)("mosquitto_pub and mosquitto_sub with MQTT $name", (version) => {
  it.each(qualities)("QoS %i", async (qos) => {
    const topic = uniqueName("topic")
    const subscriber = await mosquittoSub(port(), version, ["-t", `${topic}/#`, "-q", `${qos}`, "-C", "1"])
    await mosquittoPub(port(), version, ["-t", `${topic}/a`, "-q", `${qos}`, "-m", "hello"])
    assert.strictEqual(await subscriber.lines.next(), `${topic}/a ${qos} 0 hello`)
    assert.strictEqual((await subscriber.ended).code, 0)
  })

  it("a retained message, and its deletion", async () => {
    const topic = uniqueName("topic")
    await mosquittoPub(port(), version, ["-t", topic, "-q", "1", "-r", "-m", "kept"])
    const first = await mosquittoSub(port(), version, ["-t", topic, "-q", "1", "-C", "1"])
    assert.strictEqual(await first.lines.next(), `${topic} 1 1 kept`)
    await mosquittoPub(port(), version, ["-t", topic, "-q", "1", "-r", "-n"])
    const second = await mosquittoSub(port(), version, ["-t", topic, "-q", "1", "-C", "1"])
    await mosquittoPub(port(), version, ["-t", topic, "-q", "1", "-m", "live"])
    assert.strictEqual(await second.lines.next(), `${topic} 1 0 live`)
  })

  it("a persistent session gets what was published while it was away", async () => {
    const topic = uniqueName("topic")
    const session = ["-t", topic, "-q", "2", "-c", "-i", uniqueName("session")] // with MQTT 5, -c asks for a session that never expires
    await (await mosquittoSub(port(), version, [...session, "-E"])).ended
    for (const payload of ["1", "2", "3"]) await mosquittoPub(port(), version, ["-t", topic, "-q", "2", "-m", payload])
    const back = await mosquittoSub(port(), version, [...session, "-C", "3"], "%q %p")
    assert.deepStrictEqual(await back.lines.take(3), ["2 1", "2 2", "2 3"])
  })

  it("the will of a client that was killed", async () => {
    const topic = uniqueName("will")
    const watcher = await mosquittoSub(port(), version, ["-t", topic, "-q", "1", "-C", "1"])
    const will = ["--will-topic", topic, "--will-payload", "gone", "--will-qos", "1"]
    const victim = await mosquittoSub(port(), version, ["-t", uniqueName("topic"), ...will])
    victim.kill()
    assert.strictEqual(await watcher.lines.next(), `${topic} 1 0 gone`)
  })
})

describe("mosquitto_sub -t '$SYS/#'", () => {
  it("what the broker says of itself, and of a client that comes and goes", async () => {
    const system = await mosquittoSub(port(), v5, ["-t", "$SYS/#"])
    const retained: Array<string> = []
    while (retained.length < 3) {
      const line = await system.lines.next()
      if (line.includes(" 0 1 ")) retained.push(line)
    }
    assert.match(
      retained.toSorted().join("|"),
      new RegExp(
        String.raw`^\$SYS/brokers 0 1 (\S+)\|\$SYS/brokers/\1/sysdescr 0 1 emqttd.*\|\$SYS/brokers/\1/version 0 1 \d`
      )
    )
    await mosquittoPub(port(), v5, ["-t", uniqueName("topic"), "-m", "x", "-i", "visitor"])
    const seen = await untilLine(system.lines, "/clients/visitor/disconnected 0 0 ")
    const came = seen.find((line) => line.includes("/clients/visitor/connected"))
    assert.include(came, `"clientid":"visitor"`)
    assert.include(seen[seen.length - 1], `"reason":"normal"`)
    assert.match((await untilLine(system.lines, "/uptime 0 0 ")).at(-1) ?? "", / \d+ seconds$/)
  })
})

describe("mosquitto_pub and mosquitto_sub with MQTT 5", () => {
  it("properties", async () => {
    const topic = uniqueName("topic")
    const subscriber = await mosquittoSub(port(), v5, ["-t", topic, "-q", "1", "-C", "1"], "%C|%R|%D|%P|%F|%p")
    const properties = [
      ["content-type", "text/plain"],
      ["response-topic", "answers/here"],
      ["correlation-data", "c0ffee"],
      ["payload-format-indicator", "1"],
      ["user-property", "a", "b"]
    ].flatMap((property) => ["-D", "publish", ...property])
    await mosquittoPub(port(), v5, ["-t", topic, "-q", "1", "-m", "hello", ...properties])
    assert.strictEqual(await subscriber.lines.next(), "text/plain|answers/here|c0ffee|a:b|1|hello")
  })

  it("a shared subscription", async () => {
    const topic = uniqueName("shared")
    const args = ["-t", `$share/group/${topic}`, "-q", "1", "-C", "2"]
    const members = [await mosquittoSub(port(), v5, args, "%p"), await mosquittoSub(port(), v5, args, "%p")]
    for (const payload of ["1", "2", "3", "4"]) await mosquittoPub(port(), v5, ["-t", topic, "-q", "1", "-m", payload])
    const shares = await Promise.all(members.map((member) => member.lines.take(2)))
    assert.deepStrictEqual(shares.flat().toSorted(), ["1", "2", "3", "4"])
  })
})
