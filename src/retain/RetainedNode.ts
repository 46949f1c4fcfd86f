// One level of the retained topics: its message, and the levels below it. One child is a field, more are a Map; once a Map, always a
// Map, so that an iterator of it stays good. Used by the RetainedTree and the walks through it.
import type { Message } from "../mqtt/Message.ts"

export class RetainedNode {
  readonly level: string
  message: Message | undefined = undefined
  /** When the message is to go, milliseconds since the epoch; 0 = never. */
  expiresAt = 0
  only: RetainedNode | undefined = undefined
  children: Map<string, RetainedNode> | undefined = undefined

  constructor(level: string) {
    this.level = level
  }

  child(level: string): RetainedNode | undefined {
    const children = this.children
    if (children !== undefined) return children.get(level)
    const only = this.only
    return only !== undefined && only.level === level ? only : undefined
  }

  /** A child that is not there yet. */
  add(node: RetainedNode): void {
    if (this.children !== undefined) {
      this.children.set(node.level, node)
    } else if (this.only === undefined) {
      this.only = node
    } else {
      this.children = new Map([[this.only.level, this.only], [node.level, node]])
      this.only = undefined
    }
  }

  remove(node: RetainedNode): void {
    if (this.children !== undefined) this.children.delete(node.level)
    else this.only = undefined
  }

  get isEmpty(): boolean {
    return this.message === undefined && this.only === undefined &&
      (this.children === undefined || this.children.size === 0)
  }
}
