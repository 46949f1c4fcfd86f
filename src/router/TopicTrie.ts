// One value per topic filter, and the values of all filters that match a topic. Pure; the RouteTable puts routes in. A filter without
// wildcards is an entry of a Map and nothing else, the others share a trie of their levels. Invariant: no node without a value below it.
import { hashOf, TrieNode } from "./TrieNode.ts"

const slash = 47
const dollar = 36

export const isWildcard = (filter: string): boolean => filter.includes("+") || filter.includes("#")

/** `V` is an object; undefined means "no value". Filters and topics are valid ones: that was checked where they came in. */
export class TopicTrie<V extends object> {
  private readonly exact = new Map<string, V>()
  private readonly root = new TrieNode<V>("", 0)
  private wildcards = 0
  /** Nodes below the root. */
  nodes = 0

  // The topic that is being matched, split once: level n is topic[starts[n]..starts[n + 1] - 1).
  private topic = ""
  private levels = 0
  private starts = new Int32Array(17)
  private hashes = new Int32Array(16)
  private readonly path: Array<TrieNode<V>> = []

  get size(): number {
    return this.exact.size + this.wildcards
  }

  get(filter: string): V | undefined {
    if (!isWildcard(filter)) return this.exact.get(filter)
    const node = this.find(filter)
    return endsInHash(filter) ? node?.rest : node?.value
  }

  /** In place of the value that is there, if any. */
  set(filter: string, value: V): void {
    if (!isWildcard(filter)) {
      this.exact.set(filter, value)
      return
    }
    const node = this.grow(filter)
    if (endsInHash(filter)) {
      if (node.rest === undefined) this.wildcards++
      node.rest = value
    } else {
      if (node.value === undefined) this.wildcards++
      node.value = value
    }
  }

  /** False: there was none. Nodes that no other filter needs go with it. */
  delete(filter: string): boolean {
    if (!isWildcard(filter)) return this.exact.delete(filter)
    const node = this.find(filter)
    if (node === undefined) return false
    if (endsInHash(filter)) {
      if (node.rest === undefined) return false
      node.rest = undefined
    } else {
      if (node.value === undefined) return false
      node.value = undefined
    }
    this.wildcards--
    this.prune()
    return true
  }

  /**
   * Appends the value of each filter that matches, level by level as they are written [MQTT-4.7.3-4] [MQTT5-4.7.3-4].
   * About 20 ns for each node that is looked at; with "+" beside a level at every step
   * that can be 2 to the power of levels, of those that exist. Allocates nothing.
   */
  match(topic: string, found: Array<V>): void {
    const exact = this.exact.get(topic)
    if (exact !== undefined) found.push(exact)
    if (this.wildcards === 0) return
    this.split(topic)
    if (topic.charCodeAt(0) === dollar) {
      // [MQTT-4.7.2-1] a leading wildcard does not match a topic that begins with "$"
      const node = this.childAt(this.root, 0)
      if (node !== undefined) this.walk(node, 1, found)
    } else {
      this.walk(this.root, 0, found)
    }
  }

  /** All filters, in no particular order. */
  *filters(): IterableIterator<string> {
    yield* this.exact.keys()
    yield* filtersBelow(this.root, undefined)
  }

  private walk(from: TrieNode<V>, depth: number, found: Array<V>): void {
    let node = from
    for (;;) {
      // [MQTT-4.7.1-2] "#" also matches the level it stands under
      if (node.rest !== undefined) found.push(node.rest)
      if (depth === this.levels) {
        if (node.value !== undefined) found.push(node.value)
        return
      }
      const plus = node.plus
      const child = this.childAt(node, depth)
      depth++
      if (child === undefined) {
        if (plus === undefined) return
        node = plus
      } else {
        if (plus !== undefined) this.walk(plus, depth, found)
        node = child
      }
    }
  }

  private childAt(node: TrieNode<V>, depth: number): TrieNode<V> | undefined {
    const start = this.starts[depth] ?? 0
    const end = (this.starts[depth + 1] ?? 0) - 1
    return node.child(this.topic, start, end, this.hashes[depth] ?? 0)
  }

  private split(topic: string): void {
    this.topic = topic
    let level = 0
    let start = 0
    for (let index = 0; index <= topic.length; index++) {
      if (index < topic.length && topic.charCodeAt(index) !== slash) continue
      if (level === this.hashes.length) this.makeRoom()
      this.starts[level] = start
      this.hashes[level] = hashOf(topic, start, index)
      level++
      start = index + 1
    }
    this.starts[level] = start
    this.levels = level
  }

  private makeRoom(): void {
    const starts = new Int32Array(this.hashes.length * 2 + 1)
    const hashes = new Int32Array(this.hashes.length * 2)
    starts.set(this.starts)
    hashes.set(this.hashes)
    this.starts = starts
    this.hashes = hashes
  }

  /** The node at which the filter ends (the one above "#"); leaves the way to it in `path`. */
  private find(filter: string): TrieNode<V> | undefined {
    this.split(filter)
    const path = this.path
    path.length = 0
    path.push(this.root)
    const count = endsInHash(filter) ? this.levels - 1 : this.levels
    let node = this.root
    for (let depth = 0; depth < count; depth++) {
      const next = this.isPlus(depth) ? node.plus : this.childAt(node, depth)
      if (next === undefined) return undefined
      path.push(node = next)
    }
    return node
  }

  private grow(filter: string): TrieNode<V> {
    this.split(filter)
    const count = endsInHash(filter) ? this.levels - 1 : this.levels
    let node = this.root
    for (let depth = 0; depth < count; depth++) {
      let next = this.isPlus(depth) ? node.plus : this.childAt(node, depth)
      if (next === undefined) {
        this.nodes++
        if (this.isPlus(depth)) {
          next = node.plus = new TrieNode<V>("+", 0)
        } else {
          const level = filter.slice(this.starts[depth], (this.starts[depth + 1] ?? 0) - 1)
          next = new TrieNode<V>(level, this.hashes[depth] ?? 0)
          node.add(next)
        }
      }
      node = next
    }
    return node
  }

  /** Takes away what has become empty at the end of `path`. */
  private prune(): void {
    const path = this.path
    for (let depth = path.length - 1; depth > 0; depth--) {
      const node = path[depth]
      const parent = path[depth - 1]
      if (node === undefined || parent === undefined || !node.isEmpty) break
      if (parent.plus === node) parent.plus = undefined
      else parent.remove(node)
      this.nodes--
    }
    path.length = 0
  }

  private isPlus(depth: number): boolean {
    const start = this.starts[depth] ?? 0
    return this.starts[depth + 1] === start + 2 && this.topic.charCodeAt(start) === 43
  }
}

const endsInHash = (filter: string): boolean => filter.endsWith("#") && (filter.length === 1 || filter.endsWith("/#"))

/** `prefix` is undefined at the root: a first level may be empty. */
function* filtersBelow<V>(node: TrieNode<V>, prefix: string | undefined): IterableIterator<string> {
  if (prefix !== undefined && node.value !== undefined) yield prefix
  const join = prefix === undefined ? "" : prefix + "/"
  if (node.rest !== undefined) yield join + "#"
  if (node.plus !== undefined) yield* filtersBelow(node.plus, join + "+")
  for (const child of node.children()) yield* filtersBelow(child, join + child.level)
}
