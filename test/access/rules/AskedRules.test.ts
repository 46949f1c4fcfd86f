import { assert, describe, it } from "@effect/vitest"
import {
  type AskedSource,
  awaited,
  type FetchedDecision,
  type RuleQuestion
} from "../../../src/access/rules/AskedRules.ts"
import { Authorization, type InForce } from "../../../src/access/rules/Authorization.ts"
import { Permissions } from "../../../src/access/rules/Permissions.ts"
import type { Decision } from "../../../src/access/rules/Rule.ts"
import { rulesOf, subjectOf } from "./asking.ts"

const allowed: Decision = { allowed: true, file: undefined, line: 0, by: "service" }
const denied: Decision = { allowed: false, file: undefined, line: 0, by: "service" }

/** Answers when the test says so. */
class Service implements AskedSource {
  readonly file = "service"
  readonly cacheSize: number
  readonly cacheMillis: number
  time = 0
  readonly asked: Array<RuleQuestion> = []
  stopped = 0
  answer: (question: RuleQuestion) => FetchedDecision = () => ({ decision: allowed, keeps: true })
  private waiting: Array<() => void> = []

  constructor(cacheSize = 8, cacheMillis = 1_000) {
    this.cacheSize = cacheSize
    this.cacheMillis = cacheMillis
  }

  now(): number {
    return this.time
  }

  fetch(
    _: unknown,
    questions: ReadonlyArray<RuleQuestion>,
    answered: (question: RuleQuestion, answer: FetchedDecision) => void,
    done: () => void
  ): () => void {
    this.asked.push(...questions)
    this.waiting.push(() => {
      for (const question of questions) answered(question, this.answer(question))
      done()
    })
    return () => this.stopped++
  }

  go(): void {
    for (const one of this.waiting.splice(0)) one()
  }
}

const options = { noMatch: "deny", denyCovers: true } as const
const permissionsWith = (sources: ConstructorParameters<typeof Authorization>[0], cacheSize = 8) => {
  const inForce: InForce = { authorization: new Authorization(sources, options) }
  return { inForce, permissions: new Permissions(inForce, subjectOf(), cacheSize) }
}

/** Asks until nothing is awaited. */
const settled = async (permissions: Permissions, service: Service, ask: () => Decision): Promise<string> => {
  let decision = ask()
  while (decision === awaited) {
    const done = new Promise<void>((resolve) => permissions.fetch(resolve))
    service.go()
    await done
    decision = ask()
  }
  permissions.settle()
  return `${decision.allowed ? "allow" : "deny"} ${decision.by}`
}

describe("rules that are asked for", () => {
  it("in the order of the sources: what comes before decides without asking, what comes after when it is left to it", async () => {
    const service = new Service()
    service.answer = ({ topic }) => ({ decision: topic === "c" ? undefined : denied, keeps: true })
    const { inForce, permissions } = permissionsWith([
      rulesOf("acl_config", `{allow, all, publish, ["a"]}.`, "one"),
      service,
      rulesOf("acl_config", `{allow, all, publish, ["b", "c"]}.`, "two")
    ])
    assert.isTrue(inForce.authorization.awaits)
    const publish = (topic: string) => settled(permissions, service, () => permissions.publish(topic, 0, false))
    assert.strictEqual(await publish("a"), "allow one:1")
    assert.strictEqual(service.asked.length, 0)
    assert.strictEqual(await publish("b"), "deny service")
    assert.strictEqual(await publish("c"), "allow two:1")
    assert.strictEqual(await publish("d"), "deny service")
    assert.deepStrictEqual(service.asked.map(({ topic }) => topic), ["b", "c", "d"])
    assert.isFalse(new Authorization([rulesOf("acl_config", "{allow, all}.")], options).awaits)
  })

  it("an answer is kept for its action, topic, QoS and RETAIN, for its time", async () => {
    const service = new Service()
    const { permissions } = permissionsWith([service])
    const asks = async (ask: () => Decision): Promise<boolean> => {
      const before = service.asked.length
      assert.strictEqual(await settled(permissions, service, ask), "allow service")
      return service.asked.length > before
    }
    assert.isTrue(await asks(() => permissions.publish("a", 0, false)))
    assert.isFalse(await asks(() => permissions.publish("a", 0, false)))
    assert.isTrue(await asks(() => permissions.publish("a", 1, false)))
    assert.isTrue(await asks(() => permissions.publish("a", 0, true)))
    assert.isTrue(await asks(() => permissions.publish("a/b", 0, false)))
    assert.isTrue(await asks(() => permissions.subscribe("a", 0)))
    assert.isFalse(await asks(() => permissions.subscribe("$share/g/a", 0)))
    assert.deepStrictEqual(service.asked.at(-1), { action: "subscribe", topic: "a", qos: 0, retain: false })
    service.time = 999
    assert.isFalse(await asks(() => permissions.publish("a", 0, false)))
    service.time = 1_000
    assert.isTrue(await asks(() => permissions.publish("a", 0, false)))
  })

  it("no more answers are kept than the settings say, but those that somebody waits for", async () => {
    const service = new Service(2)
    const { permissions } = permissionsWith([service])
    const filters = ["a", "b", "c", "d"]
    const ask = () => filters.map((filter) => permissions.subscribe(filter, 0))
    assert.isTrue(ask().every((decision) => decision === awaited))
    const done = new Promise<void>((resolve) => permissions.fetch(resolve))
    service.go()
    await done
    assert.isTrue(ask().every((decision) => decision === allowed))
    permissions.settle()
    assert.deepStrictEqual(ask().map((decision) => decision === awaited), [true, true, false, false])
  })

  it("a failure is not kept, nor anything where the settings keep nothing", async () => {
    for (const service of [new Service(8, 0), new Service(0), new Service()]) {
      service.answer = () => ({ decision: denied, keeps: service.cacheSize === 0 || service.cacheMillis === 0 })
      const { permissions } = permissionsWith([service], 0)
      for (let i = 0; i < 3; i++) {
        assert.strictEqual(
          await settled(permissions, service, () => permissions.publish("a", 0, false)),
          "deny service"
        )
      }
      assert.strictEqual(service.asked.length, 3)
    }
  })

  it("a reload empties what is kept, also while an answer is under way", async () => {
    const service = new Service()
    const { inForce, permissions } = permissionsWith([service])
    const publish = () => permissions.publish("a", 0, false)
    assert.strictEqual(await settled(permissions, service, publish), "allow service")
    inForce.authorization = new Authorization([service], options)
    assert.strictEqual(publish(), awaited)
    const done = new Promise<void>((resolve) => permissions.fetch(resolve))
    inForce.authorization = new Authorization([service], options)
    service.answer = () => ({ decision: denied, keeps: true })
    service.go()
    await done
    assert.strictEqual(publish(), awaited)
    assert.strictEqual(await settled(permissions, service, publish), "deny service")
    inForce.authorization = new Authorization([rulesOf("acl_config", "{allow, all}.", "f")], options)
    assert.strictEqual(publish().by, "f:1")
  })

  it("a superuser is not asked about; who stops is not told", async () => {
    const service = new Service()
    const inForce: InForce = { authorization: new Authorization([service], options) }
    assert.isTrue(new Permissions(inForce, subjectOf({ superuser: true }), 8).publish("a", 0, false).allowed)
    const permissions = new Permissions(inForce, subjectOf(), 8)
    assert.strictEqual(permissions.publish("a", 0, false), awaited)
    const stop = permissions.fetch(() => assert.fail("told"))
    stop()
    service.go()
    assert.strictEqual(service.stopped, 1)
    await new Promise((resolve) => setImmediate(resolve))
  })

  it("nothing to fetch is fetched at once, but not within the call", async () => {
    const { permissions } = permissionsWith([])
    let told = false
    const done = new Promise<void>((resolve) =>
      permissions.fetch(() => {
        told = true
        resolve()
      })
    )
    assert.isFalse(told)
    await done
  })
})
