// Who a will is for, through the store and back: what the rules say of it stays as it was.
import { assert, describe, it } from "@effect/vitest"
import { Permissions } from "../../src/access/rules/Permissions.ts"
import type { Will } from "../../src/mqtt/Packet.ts"
import { storedSubject, subjectText } from "../../src/session/storedSubject.ts"
import { permissionsOf, rulesOf, subjectOf } from "../access/rules/asking.ts"
import { Authorization } from "../../src/access/rules/Authorization.ts"

const will = (topic: string): Will => ({
  topic,
  payload: Buffer.from("x"),
  qos: 0,
  retain: false,
  properties: null,
  delayIntervalSeconds: 0
})

describe("storedSubject", () => {
  it("gives back who it was and the mount point", () => {
    const subject = subjectOf({
      clientId: "c",
      userName: "u",
      address: "10.0.0.1",
      listener: "tls",
      certificateName: "n"
    })
    const back = storedSubject(subjectText(subject, "m/", will("m/a")), "c")
    assert.deepStrictEqual(back, { subject: { ...subject, rules: undefined, by: undefined }, mountpoint: "m/" })
  })

  it("of a superuser, who has let it in: it may be none when its will takes effect", () => {
    for (const rules of [undefined, rulesOf("acl_config", "{deny, all}.\n")]) {
      const subject = { ...subjectOf({ rules }), superuser: true, by: "password_file x" }
      const { subject: back } = storedSubject(subjectText(subject, "", will("a")), subject.clientId)
      assert.deepStrictEqual([back.superuser, back.by, back.rules === undefined], [
        true,
        subject.by,
        rules === undefined
      ])
    }
  })

  it("of a token's rules keeps what they say of this will: no claim that denies it, or allows it, is forgotten", () => {
    const rules = rulesOf("acl_config", `{allow, all, publish, ["a"]}.\n{deny, all, publish, ["b"]}.\n`)
    const expected = new Map([["a", true], ["b", false], ["c", false]])
    for (const source of ["{deny, all}.", "{allow, all}."]) {
      for (const [topic, own] of expected) {
        const subject = subjectOf({ rules })
        const { subject: back } = storedSubject(subjectText(subject, "m/", will(`m/${topic}`)), subject.clientId)
        const authorization = new Authorization([rulesOf("acl_config", source)], { denyCovers: true, noMatch: "deny" })
        const { allowed } = new Permissions({ authorization }, back, 0).publish(topic, 0, false)
        assert.strictEqual(allowed, topic === "c" ? source.startsWith("{allow") : own, `${source} ${topic}`)
        assert.strictEqual(
          permissionsOf([rulesOf("acl_config", source)], { rules }).publish(topic, 0, false).allowed,
          allowed
        )
      }
    }
  })
})
