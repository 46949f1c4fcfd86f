// One level of the wildcard filters, and the table of the levels below it: nothing for a leaf, a field for one child, an open-addressed
// table (linear probing, at most three quarters full) for more. Used by the TopicTrie alone. Looking a level up makes no string: it is
// hashed and compared where it stands in the topic.

/** Filters come from outside: with a seed nobody can choose levels that fall on each other. */
const seed = (Math.random() * 0x40000000) | 0

/** 30 bits, so that both engines keep it as a small integer. */
export const hashOf = (text: string, start: number, end: number): number => {
  let hash = seed
  for (let index = start; index < end; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x9e3779b1)
    hash ^= hash >>> 15
  }
  return hash & 0x3fffffff
}

const smallestTable = 4

export class TrieNode<V> {
  readonly level: string
  readonly hash: number
  /** The child for "+". */
  plus: TrieNode<V> | undefined = undefined
  /** Of the filter that ends here. */
  value: V | undefined = undefined
  /** Of the filter that ends here with "/#". */
  rest: V | undefined = undefined
  private only: TrieNode<V> | undefined = undefined
  private slots: Array<TrieNode<V> | undefined> | undefined = undefined
  private count = 0

  constructor(level: string, hash: number) {
    this.level = level
    this.hash = hash
  }

  get isEmpty(): boolean {
    return this.count === 0 && this.plus === undefined && this.value === undefined && this.rest === undefined
  }

  /** The child whose level is text[start..end), which has this hash. */
  child(text: string, start: number, end: number, hash: number): TrieNode<V> | undefined {
    const slots = this.slots
    if (slots === undefined) {
      const only = this.only
      return only !== undefined && only.is(text, start, end, hash) ? only : undefined
    }
    const mask = slots.length - 1
    for (let slot = hash & mask;; slot = (slot + 1) & mask) {
      const node = slots[slot]
      if (node === undefined || node.is(text, start, end, hash)) return node
    }
  }

  /** A child that is not there yet. */
  add(node: TrieNode<V>): void {
    const slots = this.slots
    this.count++
    if (slots === undefined) {
      const only = this.only
      if (only === undefined) {
        this.only = node
        return
      }
      const table = emptyTable<V>(smallestTable)
      place(table, only)
      place(table, node)
      this.only = undefined
      this.slots = table
      return
    }
    if (this.count * 4 > slots.length * 3) this.slots = moved(slots, slots.length * 2)
    place(this.slots ?? slots, node)
  }

  /** A child that is there. */
  remove(node: TrieNode<V>): void {
    const slots = this.slots
    this.count--
    if (slots === undefined) {
      this.only = undefined
      return
    }
    if (this.count === 1) {
      this.only = slots.find((other) => other !== undefined && other !== node)
      this.slots = undefined
      return
    }
    const mask = slots.length - 1
    let hole = node.hash & mask
    while (slots[hole] !== node) hole = (hole + 1) & mask
    // Those behind the hole that may stand further to the front close it, so that a search never stops too early.
    for (let slot = (hole + 1) & mask;; slot = (slot + 1) & mask) {
      const next = slots[slot]
      if (next === undefined) break
      if (((slot - next.hash) & mask) >= ((slot - hole) & mask)) {
        slots[hole] = next
        hole = slot
      }
    }
    slots[hole] = undefined
    if (slots.length > smallestTable && this.count * 8 < slots.length) this.slots = moved(slots, slots.length / 2)
  }

  /** Without the one for "+". */
  *children(): IterableIterator<TrieNode<V>> {
    if (this.only !== undefined) yield this.only
    if (this.slots === undefined) return
    for (const node of this.slots) if (node !== undefined) yield node
  }

  private is(text: string, start: number, end: number, hash: number): boolean {
    return this.hash === hash && this.level.length === end - start && text.startsWith(this.level, start)
  }
}

/** Filled by pushing: an array made with a large length may be a sparse one, which is many times slower. */
const emptyTable = <V>(length: number): Array<TrieNode<V> | undefined> => {
  const table: Array<TrieNode<V> | undefined> = []
  for (let slot = 0; slot < length; slot++) table.push(undefined)
  return table
}

const place = <V>(table: Array<TrieNode<V> | undefined>, node: TrieNode<V>): void => {
  const mask = table.length - 1
  let slot = node.hash & mask
  while (table[slot] !== undefined) slot = (slot + 1) & mask
  table[slot] = node
}

const moved = <V>(
  slots: ReadonlyArray<TrieNode<V> | undefined>,
  length: number
): Array<TrieNode<V> | undefined> => {
  const table = emptyTable<V>(length)
  for (const node of slots) if (node !== undefined) place(table, node)
  return table
}
