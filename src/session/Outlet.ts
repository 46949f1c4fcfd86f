// The way out to one client: ordered ranges of bytes, written to the socket once per turn. Its connection and the
// session that is attached append to it; the scheduler flushes it when no actor has anything left to do.
// Invariant: bytes leave in the order in which they were appended, and after `close` nothing leaves.
import type { Output } from "../mqtt/Output.ts"
import type { Scheduler, Task } from "../otp/Scheduler.ts"
import type { Counters } from "../metrics/Counters.ts"

/** What an outlet needs of a socket: see `platform/Tcp.ts`. */
export interface OutletSocket {
  write(buffer: Buffer, start: number, end: number): boolean
  readonly bufferedBytes: number
}

/** More than this waiting inside a turn is written at once, so that a turn's burst is not mistaken for congestion. */
const earlyFlushBytes = 256 * 1024

/**
 * The arena in which a turn's packets are encoded, shared by all outlets of a broker. It starts again at 0 once every
 * outlet that has ranges in it has been flushed: sockets take or copy all bytes of a write.
 */
export class Arena {
  readonly output: Output
  private users = 0

  constructor(output: Output) {
    this.output = output
  }

  acquire(): void {
    this.users++
  }

  release(): void {
    if (--this.users === 0) this.output.clear()
  }
}

export class Outlet implements Task {
  /** True while the socket holds more than the high watermark: QoS 0 is dropped, QoS 1 and 2 wait. */
  congested = false
  private readonly socket: OutletSocket
  private readonly scheduler: Scheduler
  readonly arena: Arena
  readonly counters: Counters
  private readonly highWatermark: number
  private buffer: Buffer | null = null
  private start = 0
  private end = 0
  /** Ranges before the last one; most turns have just the last. */
  private earlier: Array<{ buffer: Buffer; start: number; end: number }> | null = null
  private pending = 0
  private scheduled = false
  private closed = false

  constructor(socket: OutletSocket, scheduler: Scheduler, arena: Arena, counters: Counters, highWatermark: number) {
    this.socket = socket
    this.scheduler = scheduler
    this.arena = arena
    this.counters = counters
    this.highWatermark = highWatermark
  }

  /** Adds `buffer[start..end)`, which must not change until the end of the turn. Neighbouring ranges become one. */
  append(buffer: Buffer, start: number, end: number): void {
    if (this.closed) return
    if (this.buffer === buffer && this.end === start) {
      this.end = end
    } else {
      if (this.buffer !== null) {
        const range = { buffer: this.buffer, start: this.start, end: this.end }
        if (this.earlier === null) this.earlier = [range]
        else this.earlier.push(range)
      } else if (!this.scheduled) {
        this.scheduled = true
        this.arena.acquire()
        this.scheduler.enqueueFlush(this)
      }
      this.buffer = buffer
      this.start = start
      this.end = end
    }
    this.pending += end - start
    if (this.pending >= earlyFlushBytes) this.flush()
  }

  /** Adds a control packet, whole: bytes that nobody else will change. */
  appendBytes(bytes: Uint8Array): void {
    this.counters.packetSent((bytes[0] ?? 0) >> 4)
    const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.append(buffer, 0, buffer.length)
  }

  run(): void {
    this.scheduled = false
    try {
      this.flush()
    } finally {
      this.arena.release()
    }
  }

  /** Writes what there is now. */
  flush(): void {
    const buffer = this.buffer
    if (buffer === null) return
    const pending = this.pending
    this.buffer = null
    this.pending = 0
    this.counters.bytes_sent_total += pending
    const taken = this.earlier === null
      ? this.socket.write(buffer, this.start, this.end)
      : this.writeJoined(this.earlier, buffer, pending)
    // Only a write that was not taken whole is followed by `drained`.
    this.congested = !taken && this.socket.bufferedBytes > this.highWatermark
  }

  /** The socket has been emptied. */
  drained(): void {
    this.congested = this.socket.bufferedBytes > this.highWatermark
  }

  close(): void {
    this.closed = true
    this.buffer = null
    this.earlier = null
    this.pending = 0
  }

  private writeJoined(
    earlier: Array<{ buffer: Buffer; start: number; end: number }>,
    last: Buffer,
    total: number
  ): boolean {
    const output = this.arena.output
    output.reserve(total)
    const joined = output.buffer
    const from = output.position
    let position = from
    for (const range of earlier) position += range.buffer.copy(joined, position, range.start, range.end)
    position += last.copy(joined, position, this.start, this.end)
    output.position = position
    this.earlier = null
    return this.socket.write(joined, from, position)
  }
}
