import { assert, describe, it } from "@effect/vitest"
import { defaultSettings } from "../../src/config/Settings.ts"
import { Message } from "../../src/mqtt/Message.ts"
import { TopicTable } from "../../src/mqtt/TopicTable.ts"
import { mountedFilter, mountedMessage, mountpointFor, unmountedMessage } from "../../src/session/mountpoint.ts"

describe("mountpointFor", () => {
  it("puts the names in", () => {
    assert.strictEqual(mountpointFor("", "", undefined), "")
    assert.strictEqual(mountpointFor("a/b/", "+", undefined), "a/b/")
    assert.strictEqual(mountpointFor("%u/%c/%u/", "c", "u"), "u/c/u/")
    assert.strictEqual(mountpointFor("%c/", "%u", "$&"), "%u/")
    assert.strictEqual(mountpointFor("m/%u/", "c", "$&"), "m/$&/")
  })

  it("a name in front must not begin what wildcards hide, or a shared subscription", () => {
    for (const name of ["$SYS", "$SY", "$share", "$local"]) {
      assert.isUndefined(mountpointFor("%c/", name, "u"))
      assert.isUndefined(mountpointFor("%u", "c", name))
      assert.strictEqual(mountpointFor("m/%c/", name, "u"), `m/${name}/`)
    }
  })

  it("refuses a name that could be taken for another client's", () => {
    for (const name of ["+", "#", "a/b", "a+", "", "a\0"]) {
      assert.isUndefined(mountpointFor("d/%c/", name, "u"), JSON.stringify(name))
      assert.isUndefined(mountpointFor("d/%u/", "c", name), JSON.stringify(name))
    }
    assert.isUndefined(mountpointFor("d/%u/", "c", undefined))
  })
})

describe("mountedFilter", () => {
  it.each([
    ["a/+", "m/a/+"],
    ["#", "m/#"],
    ["$share/g/a/#", "$share/g/m/a/#"],
    ["$queue/a", "$queue/m/a"],
    ["$local/a", "$local/m/a"],
    ["$local/$share/g/a", "$local/$share/g/m/a"],
    ["$SYS/#", "m/$SYS/#"],
    // To be refused as they are.
    ["$share/g", "$share/g"],
    ["$share/g/", "$share/g/"],
    ["a#", "a#"],
    ["secret/#", "secret/#"]
  ])("%s → %s", (filter, mounted) => {
    const settings = { ...defaultSettings, access: { ...defaultSettings.access, refusedSubscriptions: ["secret/#"] } }
    assert.strictEqual(mountedFilter(settings, "m/", filter), mounted)
  })
})

describe("messages", () => {
  const topics = new TopicTable({ slots: 16, maximumBytes: 256 })
  const message = Message.make({
    topic: "a/b",
    payload: Buffer.from("hello"),
    qos: 1,
    retain: true,
    publisher: "p",
    properties: { contentType: "text/plain", messageExpiryInterval: 7 },
    now: 1000
  })

  it("keep all but their topic, there and back", () => {
    const whole = mountedMessage("m/", message, topics)
    const back = unmountedMessage("m/", whole, topics)
    assert.strictEqual(whole.topic, "m/a/b")
    assert.strictEqual(back.topic, "a/b")
    for (const one of [whole, back]) {
      assert.strictEqual(one.payload.toString(), "hello")
      assert.deepStrictEqual(one.properties, message.properties)
      assert.deepStrictEqual(
        [one.qos, one.retain, one.publisher, one.receivedAt, one.expiresAt],
        [1, true, "p", 1000, 8000]
      )
    }
  })

  it("of another mount point stay as they are", () => {
    assert.strictEqual(unmountedMessage("x/", message, topics), message)
    assert.strictEqual(unmountedMessage("a/b", message, topics), message)
  })
})
