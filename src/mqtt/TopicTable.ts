import type { Buffer } from "node:buffer"

/** A topic name that passed all checks, and what others remember about it. */
export class TopicName {
  readonly text: string
  /** Count of levels: "a/b" has two. */
  readonly levels: number
  /** The router's memo of its answer; nobody else's. */
  route: unknown

  constructor(text: string, levels: number) {
    this.text = text
    this.levels = levels
    this.route = undefined
  }
}

export class TopicTable {
  constructor(_options: { readonly slots?: number; readonly maximumBytes?: number } = {}) {}

  /** Throws ProtocolError. */
  lookup(_buffer: Buffer, _start: number, _end: number): TopicName {
    throw new Error("not yet")
  }

  /** Throws ProtocolError. */
  of(_text: string): TopicName {
    throw new Error("not yet")
  }
}
