// The bytes that the platform has read for one connection and that it has not worked on yet. Invariant: from its capacity on the
// socket is not read until all of it has been worked off, so it never holds more than the capacity and one read (512 KiB on Bun).
import type { TcpSocket } from "../platform/Tcp.ts"

/** Never pushed to: what an empty mailbox stands on. */
const noChunks: Array<Buffer> = []

export class ChunkMailbox {
  private readonly socket: TcpSocket
  private readonly capacity: number
  private chunks: Array<Buffer> = noChunks
  private next = 0
  /** Taken or not: what has not been worked off. */
  private bytes = 0
  private paused = false

  /** `capacity`: bytes. */
  constructor(socket: TcpSocket, capacity: number) {
    this.socket = socket
    this.capacity = capacity
  }

  get isEmpty(): boolean {
    return this.chunks === noChunks
  }

  push(chunk: Buffer): void {
    if (this.chunks === noChunks) this.chunks = [chunk]
    else this.chunks.push(chunk)
    this.bytes += chunk.length
    if (this.bytes < this.capacity || this.paused) return
    this.paused = true
    this.socket.pause()
  }

  /** The oldest one, to be worked on; undefined: there is none. */
  take(): Buffer | undefined {
    const { chunks } = this
    const chunk = chunks[this.next++]
    if (this.next >= chunks.length) {
      this.chunks = noChunks
      this.next = 0
    }
    return chunk
  }

  /** Nothing of it is wanted any more; the socket is read on, so that its end is seen. */
  discard(): void {
    this.chunks = noChunks
    this.next = 0
    this.workedOff()
  }

  /** What was taken is done with; when nothing is left reading goes on. */
  workedOff(): void {
    if (!this.isEmpty) return
    this.bytes = 0
    if (!this.paused) return
    this.paused = false
    this.socket.resume()
  }
}
