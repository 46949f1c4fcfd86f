import { assert, describe, it } from "@effect/vitest"
import type { RetainedCursor } from "../../src/retain/RetainedCursor.ts"
import { RetainedTree } from "../../src/retain/RetainedTree.ts"
import { messageOn } from "../router/recorder.ts"

const drain = (cursor: RetainedCursor): ReadonlyArray<string> => {
  const topics: Array<string> = []
  for (let message = cursor.next(); message !== undefined; message = cursor.next()) topics.push(message.topic)
  return topics.sort()
}

const treeOf = (...topics: ReadonlyArray<string>): RetainedTree => {
  const tree = new RetainedTree(() => 0)
  for (const topic of topics) tree.set(messageOn(topic))
  return tree
}

describe("RetainedTree", () => {
  it("[MQTT-3.3.1-5] [MQTT5-3.3.1-5] keeps the last message of a topic", () => {
    const tree = new RetainedTree(() => 0)
    const first = messageOn("a/b", { payload: "one" })
    const second = messageOn("a/b", { payload: "second" })
    assert.isUndefined(tree.set(first))
    assert.strictEqual(tree.set(second), first)
    assert.strictEqual(tree.get("a/b"), second)
    assert.isUndefined(tree.get("a"))
    assert.isUndefined(tree.get("a/b/c"))
    assert.deepStrictEqual([tree.size, tree.payloadBytes], [1, 6])
  })

  it("[MQTT-4.7.1-2] [MQTT-4.7.1-3] [MQTT-4.7.2-1] a cursor gives what the filter matches", () => {
    const tree = treeOf("a", "a/b", "a/b/c", "/", "/a", "b", "$SYS", "$SYS/a", "a/$b")
    assert.deepStrictEqual(drain(tree.cursor("#")), ["/", "/a", "a", "a/$b", "a/b", "a/b/c", "b"])
    assert.deepStrictEqual(drain(tree.cursor("+")), ["a", "b"])
    assert.deepStrictEqual(drain(tree.cursor("+/+")), ["/", "/a", "a/$b", "a/b"])
    assert.deepStrictEqual(drain(tree.cursor("a/#")), ["a", "a/$b", "a/b", "a/b/c"])
    assert.deepStrictEqual(drain(tree.cursor("a/+/#")), ["a/$b", "a/b", "a/b/c"])
    assert.deepStrictEqual(drain(tree.cursor("$SYS/#")), ["$SYS", "$SYS/a"])
    assert.deepStrictEqual(drain(tree.cursor("$SYS/+")), ["$SYS/a"])
    assert.deepStrictEqual(drain(tree.cursor("a/b")), ["a/b"])
    assert.deepStrictEqual(drain(tree.cursor("A/b")), [])
    assert.deepStrictEqual(drain(tree.cursor("+/a")), ["/a"])
  })

  it("a '$' below the first level is an ordinary one, also where the first level is the only one", () => {
    assert.deepStrictEqual(drain(treeOf("a/$x/$y").cursor("#")), ["a/$x/$y"])
    assert.deepStrictEqual(drain(treeOf("a/$x/$y").cursor("+/+/+")), ["a/$x/$y"])
    assert.deepStrictEqual(drain(treeOf("$x/y").cursor("#")), [])
    assert.deepStrictEqual(drain(treeOf("$x/y").cursor("+/y")), [])
  })

  it("[MQTT-3.3.1-10] deleting leaves nothing behind", () => {
    const tree = treeOf("a/b/c", "a/b", "a/x", "y")
    assert.strictEqual(tree.nodes, 5)
    assert.isUndefined(tree.delete("a"))
    assert.isUndefined(tree.delete("a/b/c/d"))
    assert.strictEqual(tree.delete("a/b")?.topic, "a/b")
    assert.isUndefined(tree.delete("a/b"))
    assert.strictEqual(tree.nodes, 5)
    assert.strictEqual(tree.delete("a/b/c")?.topic, "a/b/c")
    assert.strictEqual(tree.nodes, 3)
    tree.delete("a/x")
    tree.delete("y")
    assert.deepStrictEqual([tree.size, tree.payloadBytes, tree.nodes], [0, 0, 0])
  })

  it("a cursor does not give what came after it was opened", () => {
    const tree = treeOf("a/1", "a/2", "a/3")
    const cursor = tree.cursor("a/+")
    const first = cursor.next()?.topic ?? ""
    const rest = ["a/1", "a/2", "a/3"].filter((topic) => topic !== first)
    tree.set(messageOn(rest[0] ?? ""))
    tree.set(messageOn("a/4"))
    assert.deepStrictEqual(drain(cursor), rest.slice(1))
    assert.deepStrictEqual(drain(tree.cursor("a/+")), ["a/1", "a/2", "a/3", "a/4"])
  })

  it("a cursor goes on when the branch it stands in is deleted, and made anew", () => {
    const tree = treeOf("a/1/x", "a/2/x", "b/1")
    const cursor = tree.cursor("#")
    assert.strictEqual(cursor.next()?.topic, "a/1/x")
    tree.delete("a/1/x")
    tree.delete("a/2/x")
    tree.set(messageOn("a/2/x"))
    assert.deepStrictEqual(drain(cursor), ["b/1"])
  })

  it("a bounded step returns to its caller without a message, and goes on", () => {
    const tree = treeOf(...Array.from({ length: 1_000 }, (_, n) => `${n}/x`), "7/y")
    const cursor = tree.cursor("+/y")
    let pauses = 0
    let found: string | undefined
    while (!cursor.done) {
      const message = cursor.next(10)
      if (message !== undefined) found = message.topic
      else if (!cursor.done) pauses++
    }
    assert.strictEqual(found, "7/y")
    assert.isAtLeast(pauses, 90)
  })

  it("[MQTT5-3.3.2-5] an expired message is not given any more, and a sweep takes it away", () => {
    let now = 0
    const tree = new RetainedTree(() => now)
    tree.set(messageOn("a/1", { expirySeconds: 10 }))
    tree.set(messageOn("a/2"))
    tree.set(messageOn("$d", { expirySeconds: 5 }))
    now = 9_999
    assert.deepStrictEqual(drain(tree.cursor("a/#")), ["a/1", "a/2"])
    const open = tree.cursor("#")
    now = 10_000
    assert.deepStrictEqual(drain(open), ["a/2"])
    assert.isUndefined(tree.get("a/1"))
    assert.strictEqual(tree.held("a/1")?.topic, "a/1")
    assert.strictEqual(tree.size, 3)
    const expired: Array<string> = []
    let calls = 1
    while (!tree.sweep(1, (message) => expired.push(message.topic))) calls++
    assert.isAtLeast(calls, 4)
    assert.deepStrictEqual(expired.sort(), ["$d", "a/1"])
    assert.deepStrictEqual([tree.size, tree.expiring], [1, 0])
  })

  it("what can be read of a damaged tree is saved, with sums counted anew", () => {
    const tree = treeOf("a/b", "a", "$SYS/x", "c/d/e")
    tree.size = 77
    tree.payloadBytes = -3
    const saved = tree.salvage()
    assert.deepStrictEqual([saved.size, saved.payloadBytes, saved.nodes], [4, 4, tree.nodes])
    assert.deepStrictEqual(drain(saved.cursor("#")), ["a", "a/b", "c/d/e"])
    const open = saved.cursor("#")
    saved.set(messageOn("new"))
    assert.deepStrictEqual(drain(open), ["a", "a/b", "c/d/e"], "the numbering goes on")
  })
})
