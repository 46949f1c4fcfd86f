import { assert, describe, it } from "@effect/vitest"
import { type Ban, banKinds, banValue, decodeBan, encodeBan } from "../../../src/access/bans/Ban.ts"
import { BanList, type Banned } from "../../../src/access/bans/BanList.ts"
import { Flapping } from "../../../src/access/bans/Flapping.ts"
import { AddressRange } from "../../../src/access/rules/AddressRange.ts"
import { randomOf } from "../../router/recorder.ts"

const ban = (kind: Ban["kind"], value: string, until = Infinity): Ban => {
  const written = banValue(kind, value)
  if (written === undefined) throw new Error(`${kind} ${value}`)
  return { kind, value: written, reason: "r", by: "ctl", since: 0, until }
}
const nobody: Banned = { clientId: undefined, userName: undefined, address: undefined }

describe("banValue", () => {
  it.each([
    ["10.0.0.1", "10.0.0.1"],
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["10.0.0.1/32", "10.0.0.1"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["FD00:0:0::1", "fd00::1"],
    ["fd00::1/64", "fd00::/64"],
    ["::", "::"],
    ["::1", "::1"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
    ["::/0", "::/0"],
    ["fe80::1%eth0", "fe80::1"]
  ])("%s → %s, which means the same", (given, written) => {
    assert.strictEqual(banValue("address", given), written)
    assert.strictEqual(banValue("address", written), written)
    assert.isDefined(AddressRange.parse(written))
  })

  it("refuses what is none", () => {
    for (const one of ["", "10.0.0", "10.0.0.1/33", "fd00::/129", "host", "10.0.0.1/x"]) {
      assert.isUndefined(banValue("address", one), one)
    }
    for (const kind of ["client_id", "user_name"] as const) {
      assert.isUndefined(banValue(kind, ""))
      assert.isUndefined(banValue(kind, "a\0b"))
      assert.strictEqual(banValue(kind, "a/+#: b"), "a/+#: b")
    }
  })
})

describe("a stored ban", () => {
  it("is read as it was written", () => {
    for (const one of [ban("client_id", "a:b"), ban("user_name", "ü", 5), ban("address", "fd00::/8")]) {
      assert.deepStrictEqual(decodeBan(encodeBan(one)), one)
    }
  })

  it("that is none is none", () => {
    for (
      const text of [
        "",
        "{",
        "null",
        "[]",
        '{"kind":"x"}',
        '{"kind":"address","value":"x","reason":"","by":"","since":0,"until":null}'
      ]
    ) assert.isUndefined(decodeBan(Buffer.from(text)), text)
  })
})

describe("BanList", () => {
  it("finds by client id, user name, address and network, until they end or are taken out", () => {
    const list = new BanList()
    list.put(ban("client_id", "c", 100))
    list.put(ban("user_name", "u"))
    list.put(ban("address", "10.0.0.0/8"))
    list.put(ban("address", "fd00:1::/64", 50))
    const find = (who: Partial<Banned>, now = 0) => list.find({ ...nobody, ...who }, now)?.value
    assert.strictEqual(find({ clientId: "c" }), "c")
    assert.isUndefined(find({ clientId: "c" }, 100))
    assert.isUndefined(find({ clientId: "u", userName: "c" }))
    assert.strictEqual(find({ clientId: "x", userName: "u" }), "u")
    assert.strictEqual(find({ address: "10.255.0.1" }), "10.0.0.0/8")
    assert.strictEqual(find({ address: "::ffff:10.0.0.9" }), "10.0.0.0/8")
    assert.isUndefined(find({ address: "11.0.0.1" }))
    assert.strictEqual(find({ address: "fd00:1::5" }), "fd00:1::/64")
    assert.isUndefined(find({ address: "fd00:1::5" }, 50))
    assert.isUndefined(find({ address: "fd00:2::5" }))
    assert.isUndefined(find({ address: "" }))
    assert.deepStrictEqual(list.expire(100).map(({ value }) => value), ["c", "fd00:1::/64"])
    assert.strictEqual(list.size, 2)
    assert.isDefined(list.delete("address", "10.0.0.0/8"))
    assert.isUndefined(list.delete("address", "10.0.0.0/8"))
    assert.isFalse(list.hasAddresses)
  })

  it("a ban that has ended hides no wider one that holds", () => {
    const list = new BanList()
    list.put(ban("address", "10.0.0.1", 5))
    list.put(ban("address", "10.0.0.0/8"))
    assert.strictEqual(list.find({ ...nobody, address: "10.0.0.1" }, 10)?.value, "10.0.0.0/8")
  })

  it("is what a plain list would be (300 runs, puts, deletions and questions)", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const random = randomOf(seed)
      const list = new BanList()
      let plain: Array<Ban> = []
      const address = () => `${random(3)}.${random(3)}.0.${random(3)}`
      const value = (kind: Ban["kind"]) =>
        kind === "address" ? `${address()}${random(2) === 0 ? "" : `/${random(33)}`}` : `n${random(5)}`
      for (let n = 0; n < 60; n++) {
        const kind = banKinds[random(3)] ?? "address"
        const one = ban(kind, value(kind), random(3) === 0 ? Infinity : random(100))
        plain = plain.filter((other) => other.kind !== kind || other.value !== one.value)
        if (random(3) === 0) list.delete(kind, one.value)
        else {
          plain.push(one)
          list.put(one)
        }
        const now = random(100)
        const asked = { clientId: `n${random(5)}`, userName: `n${random(5)}`, address: address() }
        const isBanned = plain.some(({ kind, until, value }) =>
          now < until &&
          (kind === "client_id"
            ? value === asked.clientId
            : kind === "user_name"
            ? value === asked.userName
            : AddressRange.parse(value)?.contains(asked.address) === true)
        )
        assert.strictEqual(list.find(asked, now) !== undefined, isBanned, `seed ${seed}, ${n}`)
      }
      assert.strictEqual(list.size, plain.length)
    }
  })
})

describe("Flapping", () => {
  const limits = { disconnects: 3, windowMillis: 1_000, tracked: 100 }

  it("n disconnects within the window, counted anew afterwards", () => {
    const flapping = new Flapping(limits)
    assert.deepStrictEqual([0, 400, 999].map((now) => flapping.disconnected("a", now)), [false, false, true])
    assert.isFalse(flapping.disconnected("a", 999))
    assert.deepStrictEqual([0, 500, 1_000, 1_500].map((now) => flapping.disconnected("b", now)), [
      false,
      false,
      false,
      false
    ])
    assert.isTrue(flapping.disconnected("b", 1_900))
  })

  it("a million client ids take no more room than the bound; off, nobody is counted", () => {
    const flapping = new Flapping(limits)
    for (let n = 0; n < 1_000_000; n++) flapping.disconnected(`c${n}`, 0)
    assert.strictEqual(flapping.size, 100)
    flapping.change({ ...limits, disconnects: 0 })
    assert.strictEqual(flapping.size, 0)
    assert.isFalse(flapping.disconnected("a", 0))
    assert.strictEqual(flapping.size, 0)
    flapping.change({ ...limits, disconnects: 1 })
    assert.isTrue(flapping.disconnected("a", 0))
  })
})
