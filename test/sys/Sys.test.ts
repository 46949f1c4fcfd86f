// The actor of `$SYS` with a clock of the test's own: what it publishes when, to whom, and what is retained.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { defaultSettings, type SysSettings } from "../../src/config/Settings.ts"
import { Counters } from "../../src/metrics/Counters.ts"
import { Scheduler } from "../../src/otp/Scheduler.ts"
import { Supervisor } from "../../src/otp/Supervisor.ts"
import { TimerWheel } from "../../src/otp/TimerWheel.ts"
import { Retainer } from "../../src/retain/Retainer.ts"
import { noRemoteRoutes } from "../../src/router/RemoteRoutes.ts"
import { Router } from "../../src/router/Router.ts"
import type { Timed } from "../../src/session/Services.ts"
import { ClientPresence } from "../../src/sys/clientPresence.ts"
import type { Gauges } from "../../src/sys/Report.ts"
import { Sys, type SysOptions } from "../../src/sys/Sys.ts"
import { Recorder, subscription } from "../router/recorder.ts"

const node = "emqttd@127.0.0.1"
const start = 1_000_000

const started = (settings: Partial<SysSettings> = {}, options: Partial<SysOptions> = {}) =>
  Effect.gen(function* () {
    let now = start
    const scheduler = new Scheduler({ clock: () => now })
    const wheel = new TimerWheel<Timed>(100, 64, now)
    const crashes: Array<string> = []
    const remote = { ...noRemoteRoutes, sent: [] as Array<string> }
    const router = new Router({
      scheduler,
      subscriptionsOfSessions: () => [],
      remote: {
        ...noRemoteRoutes,
        publish: (message) => {
          remote.sent.push(message.topic)
          return 0
        }
      }
    })
    const retainer = new Retainer({ scheduler, settings: defaultSettings.retain })
    const counters = new Counters()
    const gauges: { -readonly [Name in keyof Gauges]: number } = {
      clients: 0,
      sessions: 0,
      subscriptions: 0,
      sharedSubscriptions: 0,
      routes: 0,
      retained: 0
    }
    let looks = 0
    const sys = new Sys({
      scheduler,
      wheel,
      router,
      retainer,
      counters,
      settings: { ...defaultSettings.sys, ...settings },
      node,
      version: "1.2.3",
      description: "a broker",
      gauges: () => {
        looks++
        return gauges
      },
      heapBytes: () => 0,
      running: () => [node],
      clustered: false,
      ...options
    })
    const supervisor = yield* Supervisor.make({
      name: "test",
      strategy: "one-for-one",
      intensity: { times: 10, withinMillis: 60_000 },
      onCrash: ({ cause }) => crashes.push(cause)
    })
    supervisor.startChild({ id: "router", kind: "worker", restart: "permanent", start: router })
    supervisor.startChild({ id: "sys", kind: "worker", restart: "permanent", start: sys })
    const turns = Effect.promise(async () => {
      do await new Promise((resolve) => setImmediate(resolve))
      while (scheduler.busy)
    })
    const pass = (millis: number) =>
      Effect.gen(function* () {
        const end = now + millis
        while (now < end) {
          now = Math.min(end, now + 100)
          scheduler.refresh()
          wheel.advance(now, (item) => item.onTimer())
          yield* turns
        }
      })
    const subscriber = new Recorder("s")
    const subscribe = (...filters: ReadonlyArray<string>) =>
      Effect.gen(function* () {
        router.subscribe(subscriber, filters.map((filter) => subscription(filter)), () => {})
        yield* turns
      })
    const take = (): ReadonlyArray<string> => {
      return subscriber.got.splice(0).map(({ message }) => `${message.topic.replace(node, "N")} ${message.payload}`)
    }
    const retained = (filter: string): ReadonlyArray<string> => {
      const found: Array<string> = []
      const cursor = retainer.cursor(filter)
      for (let message = cursor.next(); message !== undefined; message = cursor.next()) {
        found.push(`${message.topic.replace(node, "N")} ${message.payload}`)
      }
      return found.toSorted()
    }
    return {
      ...{ sys, router, retainer, counters, gauges, crashes, scheduler, remote },
      ...{ pass, subscribe, take, retained, turns, looks: () => looks, now: () => now }
    }
  })

describe("Sys", () => {
  it.effect("what is retained is there from the start, and is of no other filter", () =>
    Effect.gen(function* () {
      const { retained, retainer } = yield* started()
      assert.deepStrictEqual(retained("$SYS/#"), [
        `$SYS/brokers ${node}`,
        "$SYS/brokers/N/sysdescr a broker",
        "$SYS/brokers/N/version 1.2.3"
      ])
      assert.deepStrictEqual(retained("$SYS/brokers/+/version"), ["$SYS/brokers/N/version 1.2.3"])
      for (const filter of ["#", "+/#", "+/brokers"]) assert.deepStrictEqual(retained(filter), [])
      assert.strictEqual(retainer.count, 0)
    }))

  it.effect("uptime and datetime every heartbeat, statistics and counters every interval", () =>
    Effect.gen(function* () {
      const { counters, gauges, pass, subscribe, take } = yield* started({ intervalMillis: 5_000 })
      yield* subscribe("$SYS/brokers/+/uptime", "$SYS/brokers/+/stats/clients/#", "$SYS/brokers/+/metrics/bytes/sent")
      yield* pass(1_000)
      assert.deepStrictEqual(take(), ["$SYS/brokers/N/uptime 1 seconds"])
      gauges.clients = 9
      yield* pass(1_000)
      gauges.clients = 4
      counters.bytes_sent_total = 77
      take()
      yield* pass(3_000)
      assert.deepStrictEqual(take(), [
        "$SYS/brokers/N/uptime 3 seconds",
        "$SYS/brokers/N/uptime 4 seconds",
        "$SYS/brokers/N/uptime 5 seconds",
        "$SYS/brokers/N/stats/clients/count 4",
        "$SYS/brokers/N/stats/clients/max 9",
        "$SYS/brokers/N/metrics/bytes/sent 77"
      ])
    }))

  it.effect("names, version and description again every interval, with RETAIN", () =>
    Effect.gen(function* () {
      const { pass, subscribe, take } = yield* started({ intervalMillis: 2_000, heartbeatMillis: 3_600_000 })
      yield* subscribe("$SYS/brokers", "$SYS/brokers/+/version", "$SYS/brokers/+/sysdescr")
      yield* pass(4_000)
      const once = [`$SYS/brokers ${node}`, "$SYS/brokers/N/version 1.2.3", "$SYS/brokers/N/sysdescr a broker"]
      assert.deepStrictEqual(take(), [...once, ...once])
    }))

  it.effect("nobody has subscribed: nothing is published, and it wakes once a heartbeat", () =>
    Effect.gen(function* () {
      const { looks, pass, remote, scheduler, subscribe, take } = yield* started({ heartbeatMillis: 10_000 })
      yield* subscribe("#", "+/#")
      const before = scheduler.tasks
      const looked = looks()
      yield* pass(60_000)
      assert.deepStrictEqual(take(), [])
      assert.deepStrictEqual(remote.sent, [])
      assert.strictEqual(scheduler.tasks - before, 6)
      assert.strictEqual(looks() - looked, 6)
    }))

  it.effect("in a cluster: other names are told at once, to this node's clients alone; what others say is kept until they are gone", () =>
    Effect.gen(function* () {
      const names = ["a@h", "b@h"]
      const { pass, remote, retained, subscribe, sys, take, turns } = yield* started({ intervalMillis: 2_000 }, {
        running: () => [...names],
        clustered: true
      })
      assert.deepStrictEqual(retained("$SYS/brokers"), ["$SYS/brokers a@h,b@h"])
      yield* pass(100)
      yield* subscribe("$SYS/brokers")
      names.push("c@h")
      sys.membersChanged()
      sys.learned("c@h", { version: "9", description: "another" })
      yield* turns
      assert.deepStrictEqual(take(), ["$SYS/brokers a@h,b@h,c@h"])
      assert.deepStrictEqual(retained("$SYS/brokers/c@h/#"), [
        "$SYS/brokers/c@h/sysdescr another",
        "$SYS/brokers/c@h/version 9"
      ])
      names.pop()
      sys.membersChanged()
      yield* turns
      sys.membersChanged()
      yield* turns
      assert.deepStrictEqual(take(), ["$SYS/brokers a@h,b@h"])
      assert.lengthOf(retained("$SYS/brokers/c@h/#"), 2)
      sys.learned("c@h", undefined)
      yield* turns
      assert.deepStrictEqual(retained("$SYS/brokers/c@h/#"), [])
      yield* pass(2_000)
      assert.deepStrictEqual(take(), ["$SYS/brokers a@h,b@h"])
      assert.notInclude(remote.sent, "$SYS/brokers")
    }))

  it.effect("Mosquitto's tree is retained, and new every interval", () =>
    Effect.gen(function* () {
      const { gauges, pass, retained, subscribe, take } = yield* started({ intervalMillis: 2_000, mosquitto: true })
      assert.deepStrictEqual(retained("$SYS/broker/clients/connected"), ["$SYS/broker/clients/connected 0"])
      gauges.clients = 3
      yield* subscribe("$SYS/broker/clients/#")
      yield* pass(2_000)
      assert.include(take(), "$SYS/broker/clients/connected 3")
      assert.deepStrictEqual(retained("$SYS/broker/clients/maximum"), ["$SYS/broker/clients/maximum 3"])
    }))

  it.effect("goes on after a crash", () =>
    Effect.gen(function* () {
      let fails = true
      const { crashes, pass, subscribe, take } = yield* started({}, {
        gauges: () => {
          if (fails) throw new Error("gauges")
          return { clients: 0, sessions: 0, subscriptions: 0, sharedSubscriptions: 0, routes: 0, retained: 0 }
        }
      })
      yield* subscribe("$SYS/brokers/+/uptime")
      yield* pass(1_000)
      assert.lengthOf(crashes, 1)
      fails = false
      yield* pass(2_000)
      assert.include(take(), "$SYS/brokers/N/uptime 2 seconds")
    }))
})

describe("ClientPresence", () => {
  const client = { clientId: "c", userName: undefined, peer: "127.0.0.1:1", version: 5 } as const
  const terms = { cleanStart: true, keepAliveSeconds: 1, expiryMillis: 0 }

  it.effect("is not wanted while nobody has subscribed under $SYS; an event that no filter is about is not put together", () =>
    Effect.gen(function* () {
      const { router, scheduler, subscribe, take, turns } = yield* started({ heartbeatMillis: 3_600_000 })
      const presence = new ClientPresence({ router, scheduler, prefix: `$SYS/brokers/${node}/`, qos: 1 })
      yield* subscribe("#", "a/$SYS/b", "$SYSTEM/#")
      assert.isFalse(presence.isWanted)
      yield* subscribe("$SYS/brokers/+/clients/+/disconnected")
      assert.isTrue(presence.isWanted)
      // Its terms would be read.
      presence.connected(client, {
        ...terms,
        get expiryMillis(): number {
          throw new Error("put together")
        }
      })
      presence.disconnected(client, "normal")
      assert.deepStrictEqual(take(), [])
      yield* turns
      assert.deepStrictEqual(take(), [
        `$SYS/brokers/N/clients/c/disconnected ${
          JSON.stringify({
            clientid: "c",
            username: null,
            ipaddress: "127.0.0.1",
            reason: "normal",
            ts: start / 1000,
            proto_ver: 5,
            disconnected_at: start
          })
        }`
      ])
    }))
})
