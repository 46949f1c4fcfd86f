import { assert, describe, it } from "@effect/vitest"
import { TopicTrie } from "../../src/router/TopicTrie.ts"

interface Named {
  readonly name: string
}

const trieOf = (...filters: ReadonlyArray<string>): TopicTrie<Named> => {
  const trie = new TopicTrie<Named>()
  for (const filter of filters) trie.set(filter, { name: filter })
  return trie
}

const matching = (trie: TopicTrie<Named>, topic: string): ReadonlyArray<string> => {
  const found: Array<Named> = []
  trie.match(topic, found)
  return found.map(({ name }) => name).sort()
}

describe("TopicTrie", () => {
  it("[MQTT-4.7.1-2] '#' matches the parent level and any number of levels below", () => {
    const trie = trieOf("sport/tennis/player1/#", "sport/#", "#")
    assert.deepStrictEqual(matching(trie, "sport/tennis/player1"), ["#", "sport/#", "sport/tennis/player1/#"])
    assert.deepStrictEqual(matching(trie, "sport/tennis/player1/score/wimbledon"), [
      "#",
      "sport/#",
      "sport/tennis/player1/#"
    ])
    assert.deepStrictEqual(matching(trie, "sport"), ["#", "sport/#"])
    assert.deepStrictEqual(matching(trie, "sports"), ["#"])
  })

  it("[MQTT-4.7.1-3] '+' matches exactly one level, also an empty one", () => {
    const trie = trieOf("sport/tennis/+", "+", "+/+", "/+", "sport/+", "+/tennis/#")
    assert.deepStrictEqual(matching(trie, "sport/tennis/player1"), ["+/tennis/#", "sport/tennis/+"])
    assert.deepStrictEqual(matching(trie, "sport/tennis/player1/ranking"), ["+/tennis/#"])
    assert.deepStrictEqual(matching(trie, "sport"), ["+"])
    assert.deepStrictEqual(matching(trie, "sport/"), ["+/+", "sport/+"])
    assert.deepStrictEqual(matching(trie, "/finance"), ["+/+", "/+"])
    assert.deepStrictEqual(matching(trie, "sport/tennis/"), ["+/tennis/#", "sport/tennis/+"])
    assert.deepStrictEqual(matching(trie, "/"), ["+/+", "/+"])
    assert.deepStrictEqual(matching(trie, "//"), [])
  })

  it("[MQTT-4.7.2-1] a leading wildcard matches no topic that begins with '$'", () => {
    const trie = trieOf("#", "+/monitor/Clients", "+", "$SYS/#", "$SYS/monitor/+", "$SYS", "+/#")
    assert.deepStrictEqual(matching(trie, "$SYS/monitor/Clients"), ["$SYS/#", "$SYS/monitor/+"])
    assert.deepStrictEqual(matching(trie, "$SYS"), ["$SYS", "$SYS/#"])
    assert.deepStrictEqual(matching(trie, "$other"), [])
    // only at the beginning
    assert.deepStrictEqual(matching(trie, "a/$SYS"), ["#", "+/#"])
  })

  it("[MQTT-4.7.3-4] names are compared character by character: case, spaces, leading and trailing slashes count", () => {
    const trie = trieOf("/finance", "finance", "Finance/+", "finance/", "é/+", "e\u0301/+", "a b/#")
    assert.deepStrictEqual(matching(trie, "/finance"), ["/finance"])
    assert.deepStrictEqual(matching(trie, "finance"), ["finance"])
    assert.deepStrictEqual(matching(trie, "finance/"), ["finance/"])
    assert.deepStrictEqual(matching(trie, "Finance/"), ["Finance/+"])
    assert.deepStrictEqual(matching(trie, "\u00e9/x"), ["é/+"])
    assert.deepStrictEqual(matching(trie, "e\u0301/x"), ["e\u0301/+"])
    assert.deepStrictEqual(matching(trie, "a b"), ["a b/#"])
  })

  it("a filter has one value; another one takes its place", () => {
    const trie = trieOf("a/b", "a/+", "a/#", "#", "+")
    for (const filter of ["a/b", "a/+", "a/#", "#", "+"]) {
      assert.strictEqual(trie.get(filter)?.name, filter)
      trie.set(filter, { name: `${filter} again` })
      assert.strictEqual(trie.get(filter)?.name, `${filter} again`)
    }
    assert.strictEqual(trie.size, 5)
    assert.deepStrictEqual(matching(trie, "a/b"), ["# again", "a/# again", "a/+ again", "a/b again"])
  })

  it("deleting takes the nodes along that nobody else needs, and no others", () => {
    const trie = trieOf("a/+/c/d", "a/+", "a/b/#")
    assert.strictEqual(trie.nodes, 5)
    assert.isFalse(trie.delete("a/+/c"))
    assert.isFalse(trie.delete("a/+/#"))
    assert.isFalse(trie.delete("x/+"))
    assert.isFalse(trie.delete("a/b"))
    assert.isTrue(trie.delete("a/+/c/d"))
    assert.isFalse(trie.delete("a/+/c/d"))
    assert.strictEqual(trie.nodes, 3)
    assert.deepStrictEqual(matching(trie, "a/b"), ["a/+", "a/b/#"])
    assert.isTrue(trie.delete("a/b/#"))
    assert.isTrue(trie.delete("a/+"))
    assert.strictEqual(trie.nodes, 0)
    assert.strictEqual(trie.size, 0)
  })

  it("lists its filters", () => {
    const filters = ["#", "+", "+/a", "/", "//+", "/+", "a", "a/#", "a/+/b/#", "a/b", "$SYS/#"]
    assert.deepStrictEqual([...trieOf(...filters).filters()].sort(), [...filters].sort())
  })

  it("a node with thousands of children finds each, while they come and go", () => {
    const trie = new TopicTrie<Named>()
    for (let n = 0; n < 5_000; n++) trie.set(`dev/${n}/+`, { name: `${n}` })
    for (let n = 0; n < 5_000; n += 2) assert.isTrue(trie.delete(`dev/${n}/+`))
    for (let n = 0; n < 5_000; n++) assert.deepStrictEqual(matching(trie, `dev/${n}/x`), n % 2 === 0 ? [] : [`${n}`])
    for (let n = 1; n < 5_000; n += 2) assert.isTrue(trie.delete(`dev/${n}/+`))
    assert.strictEqual(trie.nodes, 0)
  })

  it("topics and filters of many levels", () => {
    const deep = Array.from({ length: 10_000 }, (_, n) => `${n % 7}`).join("/")
    const trie = trieOf(`${deep}/#`, Array.from({ length: 10_000 }, () => "+").join("/"), "0/#")
    assert.strictEqual(matching(trie, deep).length, 3)
    assert.strictEqual(matching(trie, `${deep}/x`).length, 2)
    assert.deepStrictEqual(matching(trie, "0/1"), ["0/#"])
  })
})
