// One connection to another node, from its first byte on: handshake, frames in and out, credit, silence. Its socket's handlers only put
// bytes down and wake the cluster, which calls `work`. Invariant: before both proofs are judged nothing of the other side reaches a part,
// and nothing longer than a handshake is kept for it.
import { randomBytes } from "node:crypto"
import type { TcpSocket } from "../../platform/Tcp.ts"
import { BodyReader } from "../BodyReader.ts"
import { BodyWriter } from "../BodyWriter.ts"
import { type BusPart, FrameKind, type Peer } from "../Bus.ts"
import { FrameCutter, frameHeaderBytes } from "./FrameCutter.ts"
import {
  agreedVersion,
  challengeBody,
  firstSight,
  type Identity,
  identityBody,
  isProof,
  longestHandshakeFrame,
  nonceBytes,
  peerOf,
  proofOf,
  readChallenge,
  readHello,
  readRefused,
  Refusal,
  refusedBody,
  type Role,
  versionsOf,
  versionsText
} from "./handshake.ts"
import { needsCredit, SendQueue } from "./SendQueue.ts"

/** Bytes read and not worked on yet, from which on the socket is not read. */
const inboxBytes = 4 * 1024 * 1024
/** So long may a link that is closed take its last bytes. */
export const lastBytesMillis = 1_000

export interface LinkOwner {
  /** What this node says of itself; the nonce is another one for each link. */
  readonly identity: Omit<Identity, "nonce">
  /** Those that hold: one that the other node knows as well is enough. */
  readonly secrets: ReadonlyArray<string>
  readonly maxFrameBytes: number
  readonly maxSendQueueBytes: number
  /** It has something to work on. */
  woken(link: Link): void
  /** It has something to write. */
  unflushed(link: Link): void
  /** The other side is who it says. Why it may not come in all the same; undefined: it may. */
  judge(link: Link, theirs: Identity): Refusal | undefined
  /** Before the parts hear of it. */
  up(link: Link, parts: BusPart): void
  /** A part has thrown for what came: bytes of something else, or a fault of ours. */
  misunderstood(link: Link, detail: string): void
  /** One of both has refused the other. */
  refused(link: Link, byUs: boolean, code: number, detail: string): void
}

export class Link {
  readonly role: Role
  readonly socket: TcpSocket
  readonly openedAt: number
  phase: "greeting" | "challenged" | "proving" | "up" | "closed" = "greeting"
  theirs: Identity | undefined
  /** Once it is up. */
  peer: Peer | undefined
  /** When it came up. */
  upAt = 0
  /** Why it was closed. */
  reason = ""
  closedAt = 0
  /** No byte comes or goes any more. */
  gone = false
  lastHeard: number
  queue: SendQueue
  /** Whether its owner has it in its lists; its owner's alone. */
  isWoken = false
  isUnflushed = false
  bytesReceived = 0

  private readonly owner: LinkOwner
  private readonly ours: Identity
  private readonly said: Buffer
  private readonly cutter = new FrameCutter(longestHandshakeFrame)
  /** That both sides have proved to know, once it is up. */
  secret: string | undefined
  /** Of the acceptor: one of these has to come, until it has. */
  private expected: ReadonlyArray<{ readonly secret: string; readonly proof: Buffer }> = []
  private inbox: Array<Buffer> = []
  private inboxed = 0
  private paused = false
  private handled = 0
  private told = 0
  private writtenBefore = 0
  private lastSpoke: number

  constructor(owner: LinkOwner, role: Role, socket: TcpSocket, now: number) {
    this.owner = owner
    this.role = role
    this.socket = socket
    this.openedAt = this.lastHeard = this.lastSpoke = now
    this.queue = new SendQueue(owner.maxSendQueueBytes, 0)
    this.ours = { ...owner.identity, nonce: randomBytes(nonceBytes) }
    this.said = identityBody(this.ours)
    if (role === "initiator") this.say(FrameKind.Hello, this.said)
  }

  /** False: the queue is full, or it is not up. */
  send(kind: number, body: Uint8Array): boolean {
    if (this.phase !== "up" || !this.queue.push(kind, body)) return false
    this.owner.unflushed(this)
    return true
  }

  // Of the socket's handlers.

  onChunk(chunk: Buffer): void {
    if (this.phase === "closed") return
    this.inbox.push(chunk)
    this.inboxed += chunk.length
    if (this.inboxed > inboxBytes && !this.paused) {
      this.paused = true
      this.socket.pause()
    }
    this.owner.woken(this)
  }

  onDrain(): void {
    this.queue.drained()
    this.owner.unflushed(this)
  }

  onClose(error: string | undefined): void {
    this.gone = true
    if (this.reason === "") this.reason = error ?? "closed by the other node"
    this.owner.woken(this)
  }

  // In the cluster's turn.

  /** Takes in what was read, about `most` bytes of it. True: there is more. */
  work(parts: BusPart, now: number, most: number): boolean {
    let left = most
    try {
      while (this.phase !== "closed" && left > 0) {
        if (this.cutter.next()) {
          left -= this.cutter.body.length + frameHeaderBytes
          this.take(parts, this.cutter.kind, this.cutter.body)
          continue
        }
        const chunk = this.inbox.shift()
        if (chunk === undefined) break
        this.lastHeard = now
        this.inboxed -= chunk.length
        this.bytesReceived += chunk.length
        this.cutter.push(chunk)
      }
    } catch (fault) {
      this.broken(fault)
    }
    if (this.paused && this.inboxed <= inboxBytes / 4) {
      this.paused = false
      this.socket.resume()
    }
    if (this.handled - this.told >= this.ours.window / 4) this.tellCredit()
    const more = left <= 0 && this.phase !== "closed"
    if (this.gone && !more && this.phase !== "closed") this.close(this.reason, now)
    if (this.phase === "up" && this.peer !== undefined && this.queue.takeRoom()) parts.writable?.(this.peer)
    return more
  }

  /** A link that has nothing to say says so. */
  tick(now: number, heartbeatMillis: number): void {
    if (this.phase !== "up") return
    if (this.queue.written !== this.writtenBefore) {
      this.writtenBefore = this.queue.written
      this.lastSpoke = now
    } else if (now - this.lastSpoke >= heartbeatMillis) {
      this.lastSpoke = now
      this.tellCredit()
    }
  }

  flush(): void {
    if (!this.gone) this.queue.flush(this.socket)
  }

  /** Its end; what was written is still on its way. */
  close(reason: string, now: number): void {
    if (this.phase === "closed") return
    this.phase = "closed"
    this.reason = reason
    this.closedAt = now
    this.inbox = []
    if (!this.gone) {
      this.queue.flush(this.socket)
      this.socket.end()
      // Paused, it would not see the other side's end.
      if (this.paused) this.socket.resume()
    }
    this.queue.clear()
    this.owner.woken(this)
  }

  refuse(code: Refusal, now: number, detail = ""): void {
    if (this.phase === "closed") return
    this.say(FrameKind.Refused, refusedBody(code, detail))
    this.owner.refused(this, true, code, detail)
    this.close("refused", now)
  }

  private take(parts: BusPart, kind: number, body: Buffer): void {
    if (this.phase === "up") {
      if (needsCredit(kind)) this.handled += frameHeaderBytes + body.length
      if (kind === FrameKind.Credit) return this.credited(new BodyReader(body).uint64())
      if (kind === FrameKind.Refused) return this.refusedBy(body)
      // The compiler knows only the kinds of this version; parts pass over those that they do not have.
      if (this.peer !== undefined && kind > FrameKind.Credit) parts.receive(this.peer, kind as FrameKind, body)
      return
    }
    if (kind === FrameKind.Refused) return this.refusedBy(body)
    if (this.role === "acceptor") {
      if (this.phase === "greeting" && kind === FrameKind.Hello) return this.greeted(body)
      if (this.phase === "challenged" && kind === FrameKind.Proof) return this.proven(parts, body)
    } else {
      if (this.phase === "greeting" && kind === FrameKind.Challenge) return this.challenged(body)
      if (this.phase === "proving" && kind === FrameKind.Welcome) return this.opened(parts)
    }
    throw new RangeError(`a frame of kind ${kind} out of turn`)
  }

  private greeted(body: Buffer): void {
    const hello = Buffer.from(body)
    if (this.isOfNoCommonVersion(hello)) return
    const theirs = readHello(hello)
    this.theirs = theirs
    const refusal = firstSight(this.ours, theirs)
    if (refusal !== undefined) return this.refuse(refusal, this.lastHeard)
    const { secrets } = this.owner
    this.expected = secrets.map((secret) => ({ secret, proof: proofOf(secret, "initiator", hello, this.said) }))
    this.phase = "challenged"
    const proofs = secrets.map((secret) => proofOf(secret, "acceptor", hello, this.said))
    this.say(FrameKind.Challenge, challengeBody(this.said, proofs))
  }

  /** What is behind the versions may look otherwise then: it is not read. */
  private isOfNoCommonVersion(identity: Buffer): boolean {
    const [ours, theirs] = [this.ours.versions, versionsOf(identity)]
    if (agreedVersion(ours, theirs) !== undefined) return false
    const { name } = this.ours
    this.refuse(
      Refusal.Version,
      this.lastHeard,
      `${name} speaks ${versionsText(ours)}, the other one ${versionsText(theirs)}`
    )
    return true
  }

  private challenged(body: Buffer): void {
    const { identity, proofs, said } = readChallenge(body)
    this.theirs = identity
    if (this.isOfNoCommonVersion(said)) return
    this.secret = this.owner.secrets.find((secret) => {
      const expected = proofOf(secret, "acceptor", this.said, said)
      return proofs.some((proof) => isProof(proof, expected))
    })
    const refusal = firstSight(this.ours, identity) ??
      (this.secret === undefined ? Refusal.Secret : this.owner.judge(this, identity))
    if (refusal !== undefined || this.secret === undefined) {
      return this.refuse(refusal ?? Refusal.Secret, this.lastHeard)
    }
    this.phase = "proving"
    this.say(FrameKind.Proof, proofOf(this.secret, "initiator", this.said, said))
  }

  private proven(parts: BusPart, body: Buffer): void {
    const { theirs } = this
    if (theirs === undefined) return
    this.secret = this.expected.find(({ proof }) => isProof(body, proof))?.secret
    const refusal = this.secret === undefined ? Refusal.Secret : this.owner.judge(this, theirs)
    if (refusal !== undefined) return this.refuse(refusal, this.lastHeard)
    this.say(FrameKind.Welcome, Buffer.alloc(0))
    this.opened(parts)
  }

  private opened(parts: BusPart): void {
    const { theirs } = this
    if (theirs === undefined) return
    this.expected = []
    this.phase = "up"
    this.upAt = this.lastHeard
    this.peer = peerOf(this.ours, theirs)
    this.cutter.maximum = this.owner.maxFrameBytes
    const { written } = this.queue
    this.queue = new SendQueue(this.owner.maxSendQueueBytes, theirs.window)
    this.queue.written = written
    this.owner.up(this, parts)
    parts.linkUp(this.peer)
  }

  private refusedBy(body: Buffer): void {
    const { code, detail } = readRefused(body)
    this.owner.refused(this, false, code, detail)
    this.close("refused by the other node", this.lastHeard)
  }

  private credited(handled: number): void {
    this.queue.credit(handled)
    this.owner.unflushed(this)
  }

  private tellCredit(): void {
    this.told = this.handled
    if (this.queue.push(FrameKind.Credit, new BodyWriter(8).uint64(this.handled).written())) this.owner.unflushed(this)
  }

  /** Of the handshake: written at once. */
  private say(kind: FrameKind, body: Uint8Array): void {
    this.queue.push(kind, body)
    this.flush()
  }

  private broken(fault: unknown): void {
    const detail = fault instanceof Error ? fault.message : String(fault)
    if (this.phase === "up") {
      this.owner.misunderstood(this, detail)
      return this.close(`bytes that are none of ours: ${detail}`, this.lastHeard)
    }
    this.refuse(Refusal.Malformed, this.lastHeard, detail)
  }
}
