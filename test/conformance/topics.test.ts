// 4.7 Topic names and topic filters.

import { describe, expect, it } from "vitest"
import { both, useBroker } from "../support/broker.ts"
import { publishBytes, subscribeBytes, unsubscribeBytes } from "../support/packets.ts"
import type { Version } from "../support/TestClient.ts"

const broker = useBroker()

/** A bad filter: SUBACK with a failure for 5 and 3.1.1, or the end of the connection. */
const refuses = async (version: Version, filter: string): Promise<void> => {
  const client = await broker.connect(version)
  client.send(subscribeBytes(version, filter))
  const answer = await client.nextOrClosed()
  if (answer === undefined) return client.expectClosed()
  if (answer[0] === 0xe0) {
    expect([0x81, 0x82, 0x8f]).toContain(answer[2])
    return client.expectClosed()
  }
  expect(answer[0]).toBe(0x90)
  expect(answer.at(-1)).toBe(version === 5 ? 0x8f : 0x80)
}

describe.each(both)("filters, MQTT level %i", (version) => {
  it.each(["a/#/b", "a#", "#/a", "a/b#", "##"])(
    "[MQTT-4.7.1-2] [MQTT5-4.7.1-1] # anywhere but alone at the end is refused: %s",
    (filter) => refuses(version, filter)
  )

  it.each(["a+", "+a", "a/b+/c", "++", "a/+b"])(
    "[MQTT-4.7.1-3] [MQTT5-4.7.1-2] + that does not take a whole level is refused: %s",
    (filter) => refuses(version, filter)
  )

  it("[MQTT-4.7.3-1] an empty filter is refused", () => refuses(version, ""))

  it("[MQTT-4.7.3-2] a filter with U+0000 closes the connection", async () => {
    const client = await broker.connect(version)
    client.send(subscribeBytes(version, "a\u0000b"))
    await client.expectRefused(0x81, 0x8f)
  })

  const table: ReadonlyArray<readonly [filter: string, topics: ReadonlyArray<string>, others: ReadonlyArray<string>]> =
    [
      ["a/#", ["a", "a/b", "a/b/c", "a/"], ["b", "aa", "b/a"]],
      ["a/+", ["a/b", "a/"], ["a", "a/b/c"]],
      ["+/+", ["a/b", "/b", "a/", "/"], ["a", "a/b/c"]],
      ["/+", ["/a", "/"], ["a", "a/b"]],
      ["+/a/#", ["b/a", "b/a/c", "/a/c"], ["b/c", "a"]],
      ["a/+/c", ["a/b/c", "a//c"], ["a/c", "a/b/b/c"]],
      ["+", ["a"], ["/a", "a/"]]
    ]

  it.each(table)(
    "[MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT5-4.7.1-1] [MQTT5-4.7.1-2] [MQTT-3.3.2-3] %s matches what it should and nothing else",
    async (filter, topics, others) => {
      const root = broker.topic()
      const client = await broker.connect(version)
      await client.subscribe(`${root}/${filter}`, 0)
      const publisher = await broker.connect(version)
      for (const topic of [...others, ...topics]) publisher.send(publishBytes(version, 0x30, `${root}/${topic}`))
      await publisher.ping()
      for (const topic of topics) await client.receive("publish", { topic: `${root}/${topic}` })
      await client.expectNothing()
    }
  )

  it.each(["#", "+/monitor/Clients", "+/#"])(
    "[MQTT-4.7.2-1] %s does not match topics that begin with $",
    async (filter) => {
      const id = broker.id()
      const topic = `$${id}/monitor/Clients`
      const client = await broker.connect(version)
      await client.subscribe(filter)
      const publisher = await broker.connect(version)
      publisher.send(publishBytes(version, 0x30, topic), publishBytes(version, 0x30, `${id}/monitor/Clients`))
      // Other tests' messages may come by "#"; of these two only the second may.
      const seen: Array<string> = []
      while (seen.at(-1) !== `${id}/monitor/Clients`) seen.push((await client.receive("publish")).topic)
      expect(seen).not.toContain(topic)
    }
  )

  it("[MQTT-4.7.2-1] a filter whose first level is written out matches topics that begin with $", async () => {
    const client = await broker.connect(version)
    const topic = `$${broker.id()}`
    await client.subscribe(`${topic}/+`)
    client.send(publishBytes(version, 0x30, `${topic}/a`, { payload: "x" }))
    await client.receive("publish", { topic: `${topic}/a` })
  })

  it("[MQTT-4.7.3-3] topics and filters of 65,535 bytes work", async () => {
    const root = broker.topic()
    const topic = `${root}/é${"x".repeat(65_535 - root.length - 3)}`
    expect(Buffer.byteLength(topic)).toBe(65_535)
    const client = await broker.connect(version)
    expect(await client.subscribe(topic, 1)).toBe(1)
    client.send(publishBytes(version, 0x30, topic, { payload: "x" }))
    await client.receiveBytes(publishBytes(version, 0x30, topic, { payload: "x" }))
    client.send(unsubscribeBytes(version, topic, { messageId: 77 }))
    await client.receive("unsuback", { messageId: 77 })
  })

  it("[MQTT-4.7.3-4] nothing is normalized: case, composed characters, slashes and spaces are what they are", async () => {
    const root = broker.topic()
    const client = await broker.connect(version)
    for (const filter of ["Case", "caf\u00e9", "a/b", "a b", "ﬁ"]) await client.subscribe(`${root}/${filter}`)
    const publisher = await broker.connect(version)
    for (const topic of ["case", "cafe\u0301", "a//b", "/a/b", "a/b/", "a  b", " a b", "fi"]) {
      publisher.send(publishBytes(version, 0x30, `${root}/${topic}`))
    }
    await publisher.ping()
    await client.expectNothing()
    for (const topic of ["Case", "caf\u00e9", "a/b", "a b", "ﬁ"]) {
      publisher.send(publishBytes(version, 0x30, `${root}/${topic}`))
      await client.receive("publish", { topic: `${root}/${topic}` })
    }
  })
})
