// A TCP client for the contract test: remembers what comes, and waits for things to become true without sleeping.
import { connect, type Socket } from "node:net"

/** Everything that happens calls `happened`; `until` looks again each time. */
export class Happenings {
  private waiting: Array<() => void> = []

  happened(): void {
    const waiting = this.waiting
    this.waiting = []
    for (const look of waiting) look()
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.waiting.push(resolve))
  }
}

export class RawClient extends Happenings {
  readonly socket: Socket
  private readonly below: Socket
  received: Array<Buffer> = []
  receivedBytes = 0
  connected = false
  ended = false
  closed = false
  error: string | undefined

  private constructor(socket: Socket, event: string, below: Socket) {
    super()
    this.below = below
    below.on("error", (error) => {
      this.error ??= error.message
      this.happened()
    })
    this.socket = socket
    socket.on(event, () => {
      this.connected = true
      this.happened()
    })
    socket.on("data", (chunk: Buffer) => {
      this.received.push(chunk)
      this.receivedBytes += chunk.length
      this.happened()
    })
    socket.on("end", () => {
      this.ended = true
      this.happened()
    })
    socket.on("error", (error) => {
      this.error = error.message
      this.happened()
    })
    socket.on("close", () => {
      this.closed = true
      this.happened()
    })
  }

  /** Half-open: the server's end does not make it end as well. */
  static connect(port: number, host = "127.0.0.1"): Promise<RawClient> {
    return RawClient.over(connect({ port, host, noDelay: true, allowHalfOpen: true }))
  }

  /** A reset in place of an end; with TLS that of the socket below. */
  reset(): void {
    this.below.resetAndDestroy()
  }

  /** A socket that is about to connect, of whatever kind; `event` says when it is. */
  static async over(socket: Socket, event = "connect", below = socket): Promise<RawClient> {
    const client = new RawClient(socket, event, below)
    await client.until(() => client.connected || client.error !== undefined)
    return client
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received)
  }
}
