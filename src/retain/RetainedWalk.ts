// A way through the nodes of a RetainedTree that a filter matches, one node a step, depth first. Memory is one iterator per level. The
// tree may change between two steps: what is there from the first step to the last is visited once, what has gone is not visited any
// more, and what has come may be. Branches that cannot match are never entered.
import { RetainedNode } from "./RetainedNode.ts"

/** In place of a position in the filter: everything below matches. */
const everything = -1
/** For the first levels under a filter "#": everything below matches unless it is a "$" topic. */
const allButDollar = -2
const dollar = 36

export class RetainedWalk {
  /** No node is left. */
  done = false
  private readonly levels: ReadonlyArray<string>
  /** What remains: a single node, or the siblings that have not been seen; beside each the position in the filter that they stand for. */
  private readonly rest: Array<RetainedNode | MapIterator<RetainedNode>> = []
  private readonly positions: Array<number> = []
  /** The position of the first levels when the filter begins with a wildcard. */
  private readonly underWildcard: number

  /** `filter` undefined: all nodes, "$" topics too. */
  constructor(root: RetainedNode, filter: string | undefined) {
    this.levels = filter === undefined ? [] : filter.split("/")
    const first = filter === undefined ? undefined : this.levels[0]
    this.underWildcard = first === "#" ? allButDollar : first === "+" ? 1 : 0
    if (filter === undefined) this.push(root, everything)
    else if (this.underWildcard === 0) this.push(root, 0)
    else this.pushChildren(root, this.underWildcard)
  }

  /** A node that matches, with or without a message; undefined: this step has found none, or (`done`) there is none any more. */
  step(): RetainedNode | undefined {
    const top = this.rest.length - 1
    const entry = this.rest[top]
    const position = this.positions[top]
    if (entry === undefined || position === undefined) {
      this.done = true
      return undefined
    }
    if (entry instanceof RetainedNode) {
      this.pop()
      return this.enter(entry, position)
    }
    const next = entry.next()
    if (next.done === true) {
      this.pop()
      return undefined
    }
    return this.enter(next.value, position)
  }

  private enter(from: RetainedNode, start: number): RetainedNode | undefined {
    let node = from
    let position = start
    if (position === this.underWildcard && position !== 0) {
      // [MQTT-4.7.2-1] "$" topics are not under a leading wildcard
      if (node.level.charCodeAt(0) === dollar) return undefined
    }
    for (;;) {
      if (position < 0) {
        this.pushChildren(node, everything)
        return node
      }
      const level = this.levels[position]
      if (level === undefined) return node
      if (level === "#") { // [MQTT-4.7.1-2] the level itself, and everything below
        position = everything
        continue
      }
      if (level === "+") {
        this.pushChildren(node, position + 1)
        return undefined
      }
      const child = node.child(level)
      if (child === undefined) return undefined
      node = child
      position++
    }
  }

  private pushChildren(node: RetainedNode, position: number): void {
    if (node.children !== undefined) {
      this.rest.push(node.children.values())
      this.positions.push(position)
    } else if (node.only !== undefined) {
      this.push(node.only, position)
    }
  }

  private push(entry: RetainedNode, position: number): void {
    this.rest.push(entry)
    this.positions.push(position)
  }

  private pop(): void {
    this.rest.pop()
    this.positions.pop()
  }
}
