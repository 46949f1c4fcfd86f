// Measures how long one SUBSCRIBE of 500 filters takes beside 100,000 subscriptions: from its first byte to the whole SUBACK.
// Speaks MQTT 3.1.1 with packets written here, over plain sockets, so that it costs next to nothing itself.
import * as net from "node:net"
import type { Result } from "./loadGenerator.ts"

const connections = 200
const filtersPerSubscribe = 500
const rounds = 20

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
}

const packet = (header: number, body: Buffer): Buffer => {
  const length: Array<number> = []
  for (let left = body.length;;) {
    const byte = left & 0x7f
    left >>>= 7
    length.push(left > 0 ? byte | 0x80 : byte)
    if (left === 0) break
  }
  return Buffer.concat([Buffer.from([header, ...length]), body])
}

const connect = (clientId: string): Buffer =>
  packet(0x10, Buffer.concat([text("MQTT"), Buffer.from([4, 2, 0, 0]), text(clientId)]))

const subscribe = (identifier: number, filters: ReadonlyArray<string>): Buffer =>
  packet(
    0x82,
    Buffer.concat([
      Buffer.from([identifier >> 8, identifier & 0xff]),
      ...filters.flatMap((filter) => [text(filter), Buffer.from([0])])
    ])
  )

const unsubscribe = (identifier: number, filters: ReadonlyArray<string>): Buffer =>
  packet(0xa2, Buffer.concat([Buffer.from([identifier >> 8, identifier & 0xff]), ...filters.map(text)]))

/** A fifth of the filters are wildcards, as in the load generator's mode `subs`. */
const filtersOf = (prefix: string): ReadonlyArray<string> =>
  Array.from({ length: filtersPerSubscribe }, (_, index) => {
    const topic = `${prefix}/${index >> 5}/${index}`
    return index % 5 !== 0 ? `${topic}/x` : index % 2 ? `${topic}/+` : `${topic}/#`
  })

class Client {
  readonly socket: net.Socket
  private pending: Buffer = Buffer.alloc(0)
  private waiting: { type: number; resolve: (body: Buffer) => void; reject: (error: Error) => void } | undefined

  constructor(port: number) {
    this.socket = net.connect({ port, host: "127.0.0.1", noDelay: true })
    this.socket.on("data", (chunk: Buffer) => this.received(chunk))
    this.socket.on("error", (error) => this.waiting?.reject(error))
    this.socket.on("close", () => this.waiting?.reject(new Error("the broker closed the connection")))
  }

  /** Sends a packet and waits for the answer of that type: its body. */
  ask(bytes: Buffer, type: number): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.waiting = { type, resolve, reject }
      this.socket.write(bytes)
    })
  }

  private received(chunk: Buffer): void {
    this.pending = this.pending.length === 0 ? chunk : Buffer.concat([this.pending, chunk])
    for (;;) {
      let length = 0
      let at = 1
      for (; at < this.pending.length && at < 5; at++) {
        const byte = this.pending[at]!
        length |= (byte & 0x7f) << (7 * (at - 1))
        if (byte < 0x80) break
      }
      if (at >= this.pending.length && this.pending.length < at + 1) return
      const bodyStart = at + 1
      if (this.pending.length < bodyStart + length) return
      const type = this.pending[0]! >> 4
      const body = this.pending.subarray(bodyStart, bodyStart + length)
      this.pending = this.pending.subarray(bodyStart + length)
      const waiting = this.waiting
      if (waiting?.type === type) {
        this.waiting = undefined
        waiting.resolve(body)
      }
    }
  }
}

const isGranted = (suback: Buffer): boolean =>
  suback.length === 2 + filtersPerSubscribe && suback.subarray(2).every((code) => code < 3)

export const runSubscribeProbe = async (port: number): Promise<Result> => {
  const open: Array<Client> = []
  const opened = async (clientId: string): Promise<Client> => {
    const client = new Client(port)
    open.push(client)
    const connack = await client.ask(connect(clientId), 2)
    if (connack[1] !== 0) throw new Error(`${clientId} was refused: ${connack[1]}`)
    return client
  }
  let failures = 0
  try {
    const holders: Array<Client> = []
    for (let index = 0; index < connections; index++) holders.push(await opened(`holder-${index}`))
    const started = performance.now()
    for (const [index, holder] of holders.entries()) {
      if (!isGranted(await holder.ask(subscribe(1, filtersOf(`held/${index}`)), 9))) failures++
    }
    const seconds = (performance.now() - started) / 1000
    const probe = await opened("probe")
    const took: Array<number> = []
    for (let round = 1; round <= rounds; round++) {
      const filters = filtersOf(`probe/${round}`)
      const request = subscribe(round, filters)
      const sentAt = performance.now()
      const suback = await probe.ask(request, 9)
      took.push(performance.now() - sentAt)
      if (!isGranted(suback)) failures++
      await probe.ask(unsubscribe(1000 + round, filters), 11)
    }
    took.sort((a, b) => a - b)
    return {
      mode: "subscribe",
      subscriptions: connections * filtersPerSubscribe,
      subscribe_per_s: connections * filtersPerSubscribe / seconds,
      suback_p50_ms: took[rounds / 2] ?? NaN,
      suback_worst_ms: took.at(-1) ?? NaN,
      failures
    }
  } finally {
    for (const client of open) client.socket.destroy()
  }
}
