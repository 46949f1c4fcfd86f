// What a row of a node's set of routes is called and what its state says. A row is a filter with normal subscriptions, or a shared group of
// a filter. Plain functions. Invariant: state 0 means that the row is not there; equal sets have equal digests on every node.
import { parseSharedFilter } from "../../mqtt/Topic.ts"

export const isGroupKey = (key: string): boolean => key.startsWith("$share/") || key.startsWith("$queue/")

export const groupKey = (name: string, filter: string): string =>
  name === "$queue" ? `$queue/${filter}` : `$share/${name}/${filter}`

/** Of a key for which `isGroupKey` holds; undefined: it is malformed. */
export const groupOf = (key: string): { readonly name: string; readonly filter: string } | undefined => {
  const parsed = parseSharedFilter(key)
  return parsed?.group === undefined ? undefined : { name: parsed.group, filter: parsed.filter }
}

const most = 0x7fff

/** Exact up to 16, then the upper four bits: a group of thousands is not announced anew for each member that comes or goes. */
const rounded = (count: number): number => {
  if (count <= 16) return count
  const step = 2 ** (Math.floor(Math.log2(count)) - 3)
  return Math.min(most, count - count % step)
}

/** State of a group: members with a client that is there, and all members. */
export const groupState = (connected: number, all: number): number => rounded(connected) * 0x8000 + rounded(all)
export const connectedOf = (state: number): number => state >>> 15
export const membersOf = (state: number): number => state & most

/** Sum of the hashes of all rows, in two halves: it does not depend on their order and follows each change. */
export class Digest {
  a = 0
  b = 0

  add(key: string, state: number): void {
    if (state !== 0) this.change(key, state, 1)
  }

  subtract(key: string, state: number): void {
    if (state !== 0) this.change(key, state, -1)
  }

  clear(): void {
    this.a = this.b = 0
  }

  equals(other: { readonly a: number; readonly b: number }): boolean {
    return this.a === other.a && this.b === other.b
  }

  private change(key: string, state: number, sign: 1 | -1): void {
    let a = state | 0
    let b = ~state
    for (let index = 0; index < key.length; index++) {
      const unit = key.charCodeAt(index)
      a = Math.imul(a ^ unit, 0x01000193)
      b = Math.imul(b ^ unit, 0x5bd1e995)
      b ^= b >>> 13
    }
    a = Math.imul(a ^ (a >>> 15), 0x85ebca6b)
    b = Math.imul(b ^ (b >>> 15), 0xc2b2ae35)
    this.a = (this.a + sign * (a ^ (a >>> 13))) >>> 0
    this.b = (this.b + sign * (b ^ (b >>> 16))) >>> 0
  }
}
