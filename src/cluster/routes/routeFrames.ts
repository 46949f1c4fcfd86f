// The bodies of the frames of Routes.ts: rows of a set, its number and its digest. Big-endian. Plain code; what is read comes from a peer that
// has proved the secret, and is checked all the same. Invariant: a body with rows is at most about `frameBytes` long.
import { Buffer } from "node:buffer"

/** A set whose rows need more goes in several frames. */
export const frameBytes = 200 * 1024
export const longestKey = 65_535 + 64

/** Thrown for a body that no version of ours would send. */
export class FrameMalformed extends Error {
  constructor(what: string) {
    super(`a frame of the cluster that is not well formed: ${what}`)
  }
}

/** Which set: of the node's start `epoch`, after `version` changes. */
export interface SetVersion {
  readonly epoch: number
  readonly version: number
}

export interface DigestBody extends SetVersion {
  readonly a: number
  readonly b: number
  readonly rows: number
}

export const writeDigest = ({ a, b, epoch, rows, version }: DigestBody): Buffer => {
  const body = Buffer.allocUnsafe(28)
  body.writeDoubleBE(epoch, 0)
  body.writeDoubleBE(version, 8)
  body.writeUInt32BE(a, 16)
  body.writeUInt32BE(b, 20)
  body.writeUInt32BE(rows, 24)
  return body
}

export const readDigest = (body: Buffer): DigestBody => {
  if (body.length < 28) throw new FrameMalformed("a digest")
  return {
    epoch: body.readDoubleBE(0),
    version: body.readDoubleBE(8),
    a: body.readUInt32BE(16),
    b: body.readUInt32BE(20),
    rows: body.readUInt32BE(24)
  }
}

/** "I have your set up to here." Version -1: nothing, send all. */
export const writeRequest = ({ epoch, version }: SetVersion): Buffer => {
  const body = Buffer.allocUnsafe(16)
  body.writeDoubleBE(epoch, 0)
  body.writeDoubleBE(version, 8)
  return body
}

export const readRequest = (body: Buffer): SetVersion => {
  if (body.length < 16) throw new FrameMalformed("a request for routes")
  return { epoch: body.readDoubleBE(0), version: body.readDoubleBE(8) }
}

/** Head of RoutesDelta and RoutesWhole: the rows lead from `from` to `to`. In a part of a whole set, `from` is its place in the set. */
export interface RowsHead {
  readonly epoch: number
  readonly from: number
  readonly to: number
  readonly last: boolean
}

const headBytes = 25

/** Rows of one frame, written one by one. */
export class RowsWriter {
  private buffer = Buffer.allocUnsafe(4096)
  private end = headBytes
  rows = 0

  get isFull(): boolean {
    return this.end >= frameBytes
  }

  add(key: string, state: number): void {
    const needed = this.end + 6 + key.length * 3
    if (needed > this.buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2))
      this.buffer.copy(larger, 0, 0, this.end)
      this.buffer = larger
    }
    const length = this.buffer.write(key, this.end + 6, "utf8")
    this.buffer.writeUInt32BE(state, this.end)
    this.buffer.writeUInt16BE(length, this.end + 4)
    this.end += 6 + length
    this.rows++
  }

  /** Good until the next `add`; starts anew. */
  take({ epoch, from, last, to }: RowsHead): Buffer {
    const { buffer, end } = this
    buffer.writeDoubleBE(epoch, 0)
    buffer.writeDoubleBE(from, 8)
    buffer.writeDoubleBE(to, 16)
    buffer[24] = last ? 1 : 0
    this.end = headBytes
    this.rows = 0
    return buffer.subarray(0, end)
  }
}

export const readRowsHead = (body: Buffer): RowsHead => {
  if (body.length < headBytes) throw new FrameMalformed("routes")
  return {
    epoch: body.readDoubleBE(0),
    from: body.readDoubleBE(8),
    to: body.readDoubleBE(16),
    last: body[24] === 1
  }
}

export const readRows = (body: Buffer, row: (key: string, state: number) => void): void => {
  let at = headBytes
  while (at < body.length) {
    if (at + 6 > body.length) throw new FrameMalformed("a route")
    const state = body.readUInt32BE(at)
    const start = at + 6
    at = start + body.readUInt16BE(at + 4)
    if (at > body.length || at === start) throw new FrameMalformed("a route")
    row(body.toString("utf8", start, at), state)
  }
}
