// The parts of the npm package `ws` (it comes with MQTT.js) that tests use as an oracle. By their files: on Bun the name alone is a
// built-in of its own.
import { createRequire } from "node:module"
import type { Writable } from "node:stream"

export interface FrameOptions {
  readonly fin: boolean
  readonly opcode: number
  readonly mask: boolean
  readonly readOnly: boolean
  readonly rsv1: boolean
}

interface SenderModule {
  frame(data: Buffer, options: FrameOptions): Array<Buffer>
}

interface ReceiverModule {
  new (options: { isServer: boolean; maxPayload: number; allowSynchronousEvents: boolean }): Writable
}

const require = createRequire(import.meta.url)
const load = (file: string): unknown => require(`../../node_modules/ws/lib/${file}`)

/** Makes the bytes of a frame. */
export const wsSender = load("sender.js") as SenderModule
/** Takes frames apart: a stream with the events message, ping, conclude and error. */
export const WsReceiver = load("receiver.js") as ReceiverModule

/** One frame as a client sends it, with a mask of its own. */
export const clientFrame = (opcode: number, payload: Uint8Array | string, fin = true): Buffer =>
  Buffer.concat(
    wsSender.frame(Buffer.from(payload), { fin, opcode, mask: true, readOnly: true, rsv1: false })
  )
