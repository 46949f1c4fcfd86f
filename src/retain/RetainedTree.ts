// The retained messages of a node, by topic, as a tree of topic levels, so that a wildcard subscription visits what it matches and
// nothing else. Pure; owned by the Retainer, read by everybody. Invariant: no node without a message at it or below it; `size`,
// `payloadBytes` and `expiring` are the sums over the messages in the tree.
import type { Message } from "../mqtt/Message.ts"
import { RetainedCursor } from "./RetainedCursor.ts"
import { RetainedNode } from "./RetainedNode.ts"
import { RetainedWalk } from "./RetainedWalk.ts"

export class RetainedTree {
  /** Messages, those included that have expired and have not been swept yet. */
  size = 0
  payloadBytes = 0
  /** Messages that expire some day. */
  expiring = 0
  /** Nodes below the root. */
  nodes = 0
  private readonly root = new RetainedNode("")
  private readonly clock: () => number
  /** Numbers the messages as they are set; goes on in a tree that is made of another one. */
  private sequence: number
  private sweepWalk: RetainedWalk | undefined

  /** `clock` gives milliseconds since the epoch; coarse is fine. */
  constructor(clock: () => number, sequence = 0) {
    this.clock = clock
    this.sequence = sequence
  }

  /** In place of the one of the same topic, which is returned. `expiresAt` in milliseconds, 0 = never. */
  set(message: Message, expiresAt: number = message.expiresAt): Message | undefined {
    const node = this.grow(message.topic)
    const replaced = node.message
    if (replaced !== undefined) this.subtract(node, replaced)
    message.sequence = ++this.sequence
    this.put(node, message, expiresAt)
    return replaced
  }

  /** What was retained, or undefined. */
  delete(topic: string): Message | undefined {
    const path: Array<RetainedNode> = []
    const node = this.find(topic, path)
    const message = node?.message
    if (node === undefined || message === undefined) return undefined
    this.subtract(node, message)
    node.message = undefined
    node.expiresAt = 0
    for (let depth = path.length - 1; depth > 0; depth--) {
      const child = path[depth]
      if (child === undefined || !child.isEmpty) break
      path[depth - 1]?.remove(child)
      this.nodes--
    }
    return message
  }

  /** undefined: none, or it has expired. */
  get(topic: string): Message | undefined {
    const node = this.find(topic)
    if (node?.message === undefined || this.isDue(node)) return undefined
    return node.message
  }

  /** As get, but of expired ones too: what `set` would replace. */
  held(topic: string): Message | undefined {
    return this.find(topic)?.message
  }

  *topics(): Iterable<string> {
    const walk = new RetainedWalk(this.root, undefined)
    while (!walk.done) {
      const topic = walk.step()?.message?.topic
      if (topic !== undefined) yield topic
    }
  }

  /** What is retained now and matches, one at a time; see RetainedCursor for what happens when the tree changes meanwhile. */
  cursor(filter: string): RetainedCursor {
    return new RetainedCursor(this.root, filter, this.sequence, this.clock)
  }

  /** Looks at so many nodes, from where the last sweep stopped, and deletes what has expired. True: the end of the tree was reached. */
  sweep(steps: number, onExpired: (message: Message) => void): boolean {
    const walk = this.sweepWalk ??= new RetainedWalk(this.root, undefined)
    for (let step = 0; step < steps; step++) {
      const node = walk.step()
      if (node === undefined) {
        if (!walk.done) continue
        this.sweepWalk = undefined
        return true
      }
      const message = node.message
      if (message === undefined || !this.isDue(node)) continue
      this.delete(message.topic)
      onExpired(message)
    }
    return false
  }

  /** A sound tree of what can still be read of this one, which is damaged: sums are counted anew, cursors of this one stay as they are. */
  salvage(): RetainedTree {
    const tree = new RetainedTree(this.clock, this.sequence)
    const walk = new RetainedWalk(this.root, undefined)
    for (let faults = 0; !walk.done && faults < 100;) {
      try {
        const node = walk.step()
        const message = node?.message
        if (node === undefined || message === undefined) continue
        // Read first: a message that cannot be read may be what did the damage.
        if (message.payloadLength > 0) tree.put(tree.grow(message.topic), message, node.expiresAt)
      } catch {
        faults++
      }
    }
    return tree
  }

  private put(node: RetainedNode, message: Message, expiresAt: number): void {
    node.message = message
    node.expiresAt = expiresAt
    this.size++
    this.payloadBytes += message.payloadLength
    if (expiresAt !== 0) this.expiring++
  }

  private subtract(node: RetainedNode, message: Message): void {
    this.size--
    this.payloadBytes -= message.payloadLength
    if (node.expiresAt !== 0) this.expiring--
  }

  private isDue(node: RetainedNode): boolean {
    return node.expiresAt !== 0 && node.expiresAt <= this.clock()
  }

  private find(topic: string, path?: Array<RetainedNode>): RetainedNode | undefined {
    let node = this.root
    path?.push(node)
    for (let start = 0;;) {
      const slash = topic.indexOf("/", start)
      const child = node.child(topic.slice(start, slash < 0 ? topic.length : slash))
      if (child === undefined) return undefined
      path?.push(child)
      if (slash < 0) return child
      node = child
      start = slash + 1
    }
  }

  private grow(topic: string): RetainedNode {
    let node = this.root
    for (let start = 0;;) {
      const slash = topic.indexOf("/", start)
      const level = topic.slice(start, slash < 0 ? topic.length : slash)
      let child = node.child(level)
      if (child === undefined) {
        child = new RetainedNode(level)
        node.add(child)
        this.nodes++
      }
      if (slash < 0) return child
      node = child
      start = slash + 1
    }
  }
}
