// The contract of platform/Tcp.ts, kept by the implementation of this runtime, and on Bun by both.
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect as connectTls } from "node:tls"
import { afterAll } from "vitest"
import { listenFailed } from "../../src/platform/listenFailed.ts"
import { runtimeName } from "../../src/platform/runtimeName.ts"
import { tcp } from "../../src/platform/runtimeTcp.ts"
import {
  hostPort,
  ListenFailed,
  type Tcp,
  type TcpHandlers,
  type TcpListener,
  type TcpListenOptions,
  type TcpSocket,
  unixPath
} from "../../src/platform/Tcp.ts"
import { tcpBun } from "../../src/platform/TcpBun.ts"
import { tcpNode } from "../../src/platform/TcpNode.ts"
import { makeTls } from "../../src/platform/Tls.ts"
import { certificates, opensslMissing } from "../support/certificates.ts"
import { Happenings, RawClient } from "./RawClient.ts"

const onBun = runtimeName.startsWith("bun")
const loopback = { address: "127.0.0.1", port: 0, backlog: 4096 }
const folder = mkdtempSync(join(tmpdir(), "emqttd-tcp-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let serial = 0

interface Subject {
  readonly name: string
  readonly tcp: Tcp
  /** A new address each time. */
  readonly options: () => TcpListenOptions
  readonly connect: (listener: TcpListener, host?: string) => Promise<RawClient>
}

const subject = (name: string, tcp: Tcp): Subject => ({
  name,
  tcp,
  options: () => loopback,
  connect: ({ port }, host) => RawClient.connect(port, host)
})

const unixSubject = (name: string, tcp: Tcp): Subject => ({
  name,
  tcp,
  options: () => ({ address: `unix:${join(folder, `${++serial}.sock`)}`, port: 0, backlog: 4096 }),
  connect: ({ address }) => RawClient.over(connect({ path: unixPath(address) ?? "", allowHalfOpen: true }))
})

const tlsSubject = (): Subject => ({
  name: "Tls",
  tcp: Effect.runSync(makeTls(
    {
      clientCertificate: "off",
      versions: ["1.2", "1.3"],
      ciphers: "",
      handshakeTimeoutMillis: 10_000,
      maxHandshakes: 1_000,
      onFailed: () => {},
      onRefused: () => {}
    },
    { ...certificates().pair("server"), ca: undefined, crl: undefined, names: [] }
  )),
  options: () => loopback,
  connect: ({ port }, host = "127.0.0.1") => {
    const below = connect({ port, host, noDelay: true, allowHalfOpen: true })
    const ca = certificates().text("ca.crt")
    const options = { socket: below, ca, servername: "localhost", allowHalfOpen: true }
    return RawClient.over(connectTls(options), "secureConnect", below)
  }
})

const subjects: ReadonlyArray<Subject> = [
  ...(onBun
    ? [subject("TcpBun", tcpBun), subject("TcpNode on Bun", tcpNode), unixSubject("TcpBun on a Unix socket", tcpBun)]
    : [subject("TcpNode", tcpNode), unixSubject("TcpNode on a Unix socket", tcpNode)]),
  ...(opensslMissing === undefined ? [tlsSubject()] : [])
]

class Peer {
  readonly socket: TcpSocket
  chunks: Array<Buffer> = []
  bytes = 0
  drains = 0
  closes: Array<string | undefined> = []

  constructor(socket: TcpSocket) {
    this.socket = socket
  }

  get all(): Buffer {
    return Buffer.concat(this.chunks)
  }
}

class Server extends Happenings implements TcpHandlers<Peer> {
  peers: Array<Peer> = []
  onOpen: (socket: TcpSocket) => void = () => {}
  onData: (peer: Peer, chunk: Buffer) => void = () => {}

  open(socket: TcpSocket): Peer {
    const peer = new Peer(socket)
    this.peers.push(peer)
    this.onOpen(socket)
    this.happened()
    return peer
  }

  data(peer: Peer, chunk: Buffer): void {
    assert.isEmpty(peer.closes)
    peer.chunks.push(chunk)
    peer.bytes += chunk.length
    this.happened()
    this.onData(peer, chunk)
  }

  drain(peer: Peer): void {
    assert.isEmpty(peer.closes)
    peer.drains++
    this.happened()
  }

  close(peer: Peer, error: string | undefined): void {
    peer.closes.push(error)
    this.happened()
  }

  async peer(index = 0): Promise<Peer> {
    await this.until(() => this.peers.length > index)
    const peer = this.peers[index]
    if (peer === undefined) throw new Error("no such peer")
    return peer
  }
}

const digest = (bytes: Buffer) => createHash("sha1").update(bytes).digest("hex")

/** Bytes that differ at every place, so that a lost, doubled or overtaken range shows. */
const patterned = (length: number): Buffer => {
  const bytes = Buffer.alloc(length)
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE((at * 2654435761) >>> 0, at)
  return bytes
}

for (const { connect: open, name, options, tcp: implementation } of subjects) {
  const isUnix = unixPath(options().address) !== undefined
  const isTls = name === "Tls"
  /** A server with one client, which is closed at the end. */
  const connected = (
    body: (server: Server, client: RawClient, peer: Peer, listener: TcpListener) => Promise<void>,
    prepare: (server: Server) => void = () => {}
  ) =>
    Effect.gen(function* () {
      const server = new Server()
      prepare(server)
      const listener = yield* implementation.listen(options(), server)
      yield* Effect.promise(async () => {
        const client = await open(listener)
        try {
          await body(server, client, await server.peer(), listener)
        } finally {
          client.socket.destroy()
          await server.until(() => server.peers.every((peer) => peer.closes.length > 0))
        }
      })
    })

  describe(name, () => {
    it.effect("knows where a client came from that has reset its connection, though nobody had asked before", () =>
      connected(async (server, client, peer) => {
        const port = client.socket.localPort
        client.socket.resetAndDestroy()
        await server.until(() => peer.closes.length > 0)
        assert.strictEqual(peer.socket.remoteAddress, "127.0.0.1")
        assert.strictEqual(peer.socket.remotePort, isUnix ? 0 : port)
      }))

    it.effect("takes a free port, and knows who is connected", () =>
      connected(async (_server, client, peer, listener) => {
        assert.strictEqual(peer.socket.remoteAddress, "127.0.0.1")
        if (isUnix) {
          assert.match(listener.address, /^unix:\//)
          assert.deepStrictEqual([listener.port, peer.socket.remotePort], [0, 0])
          return
        }
        assert.isAbove(listener.port, 0)
        assert.strictEqual(listener.address, "127.0.0.1")
        assert.strictEqual(peer.socket.remotePort, client.socket.localPort)
      }))

    it.effect("carries bytes both ways; a chunk stays what it was", () =>
      connected(async (server, client, peer) => {
        client.socket.write("ping")
        await server.until(() => peer.bytes === 4)
        const first = peer.chunks[0]
        assert.instanceOf(first, Buffer)
        // Who keeps the chunk does not keep a slab of 64 KB with it.
        assert.isAtMost(first?.buffer.byteLength ?? Infinity, 2 * 4)
        const answer = Buffer.from("[pong]")
        assert.isTrue(peer.socket.write(answer, 1, 5))
        answer.fill(0)
        await client.until(() => client.receivedBytes === 4)
        assert.strictEqual(client.bytes.toString(), "pong")
        client.socket.write("another")
        await server.until(() => peer.bytes === 11)
        assert.strictEqual(first?.toString(), "ping")
      }))

    it.effect("takes more than the kernel does, keeps the order, and says when it has gone", () =>
      connected(async (server, client, peer) => {
        client.socket.pause()
        const sent = patterned(24 << 20)
        const piece = Buffer.alloc(256 << 10)
        let all = true
        for (let at = 0; at < sent.length; at += piece.length) {
          sent.copy(piece, 0, at, at + piece.length)
          all = peer.socket.write(piece, 0, piece.length) && all
          piece.fill(0xee) // the caller's buffer is its own again at once
        }
        assert.isFalse(all)
        assert.isAbove(peer.socket.bufferedBytes, 1 << 20)
        assert.strictEqual(peer.drains, 0)
        client.socket.resume()
        await client.until(() => client.receivedBytes === sent.length)
        assert.strictEqual(digest(client.bytes), digest(sent))
        await server.until(() => peer.drains === 1)
        assert.strictEqual(peer.socket.bufferedBytes, 0)
      }))

    it.effect("end lets what is buffered go first, and takes nothing after", () =>
      connected(async (server, client, peer) => {
        client.socket.pause()
        const sent = patterned(12 << 20)
        peer.socket.write(sent, 0, sent.length)
        assert.isAbove(peer.socket.bufferedBytes, 0)
        peer.socket.end()
        peer.socket.write(sent, 0, 100)
        peer.socket.end()
        client.socket.resume()
        await client.until(() => client.ended)
        assert.strictEqual(client.receivedBytes, sent.length)
        assert.strictEqual(digest(client.bytes), digest(sent))
        assert.strictEqual(peer.socket.bufferedBytes, 0)
        client.socket.end()
        await server.until(() => peer.closes.length > 0)
        assert.deepStrictEqual(peer.closes, [undefined])
        assert.strictEqual(peer.drains, 0)
      }))

    it.effect("end is a half-close: what the client had yet to say is no reset, and close comes when it has closed too", () =>
      connected(async (server, client, peer) => {
        peer.socket.write(Buffer.from("bye"), 0, 3)
        peer.socket.end()
        await client.until(() => client.ended)
        assert.strictEqual(client.bytes.toString(), "bye")
        client.socket.write("but")
        await server.until(() => peer.bytes === 3)
        assert.isEmpty(peer.closes)
        client.socket.end()
        await server.until(() => peer.closes.length > 0)
        assert.deepStrictEqual(peer.closes, [undefined])
        assert.isUndefined(client.error)
      }))

    it.effect("destroy after end does not wait for the client", () =>
      connected(async (server, client, peer) => {
        peer.socket.write(Buffer.from("bye"), 0, 3)
        peer.socket.end()
        await client.until(() => client.ended)
        peer.socket.destroy()
        assert.isEmpty(peer.closes) // not inside the caller's stack
        await server.until(() => peer.closes.length > 0)
        assert.strictEqual(client.bytes.toString(), "bye")
      }))

    it.effect("destroy closes at once and loses what is buffered", () =>
      connected(async (server, client, peer) => {
        client.socket.pause()
        const sent = patterned(12 << 20)
        peer.socket.write(sent, 0, sent.length)
        peer.socket.destroy()
        assert.isEmpty(peer.closes)
        await server.until(() => peer.closes.length > 0)
        peer.socket.destroy()
        peer.socket.end()
        peer.socket.pause()
        peer.socket.resume()
        peer.socket.write(sent, 0, 10)
        client.socket.resume()
        await client.until(() => client.ended || client.closed)
        assert.isBelow(client.receivedBytes, sent.length)
        assert.deepStrictEqual(peer.closes, [undefined])
      }))

    it.effect("may be destroyed while it opens", () =>
      connected(async (server, client, peer) => {
        await server.until(() => peer.closes.length > 0)
        await client.until(() => client.ended || client.closed)
        assert.lengthOf(peer.closes, 1)
      }, (server) => server.onOpen = (socket) => socket.destroy()))

    it.effect("may be written to while it opens", () =>
      connected(async (_server, client) => {
        await client.until(() => client.ended)
        assert.strictEqual(client.bytes.toString(), "full")
      }, (server) =>
        server.onOpen = (socket) => {
          socket.write(Buffer.from("full"), 0, 4)
          socket.end()
        }))

    it.effect("pause makes the client wait, resume loses nothing", () =>
      connected(async (server, client, peer, listener) => {
        peer.socket.pause()
        const sent = patterned(24 << 20)
        let flushed = false
        client.socket.write(sent, () => {
          flushed = true
          client.happened()
        })
        // Another connection's round trip: time in which bytes of the first would have come.
        const other = await open(listener)
        const otherPeer = await server.peer(1)
        for (let round = 0; round < 50; round++) {
          other.socket.write("x")
          await server.until(() => otherPeer.bytes > round)
        }
        other.socket.destroy()
        assert.isBelow(peer.bytes, 1 << 20)
        // Deno's own client takes everything at once when it encrypts.
        assert.isTrue(!flushed || (isTls && !onBun))
        peer.socket.resume()
        await server.until(() => peer.bytes === sent.length)
        assert.strictEqual(digest(peer.all), digest(sent))
      }))

    it.effect("a client that closes in order is no error", () =>
      connected(async (server, client, peer) => {
        client.socket.end("last")
        await server.until(() => peer.closes.length > 0)
        assert.strictEqual(peer.all.toString(), "last")
        assert.deepStrictEqual(peer.closes, [undefined])
      }))

    it.effect("a reset by the client closes with its message, and the listener goes on", () =>
      connected(async (server, client, peer, listener) => {
        client.socket.pause()
        const sent = patterned(12 << 20)
        peer.socket.write(sent, 0, sent.length)
        client.reset()
        await server.until(() => peer.closes.length > 0)
        assert.lengthOf(peer.closes, 1)
        assert.match(peer.closes[0] ?? "", /ECONNRESET|EPIPE|reset/i)
        const next = await open(listener)
        assert.isTrue(next.connected)
        await server.peer(1)
        next.socket.destroy()
      }))

    it.effect("a handler that throws loses its own connection only", () =>
      connected(async (server, client, peer, listener) => {
        const other = await open(listener)
        const otherPeer = await server.peer(1)
        client.socket.write("bad")
        await server.until(() => peer.closes.length > 0)
        assert.deepStrictEqual(peer.closes, ["no such packet"])
        other.socket.write("good")
        await server.until(() => otherPeer.bytes === 4)
        assert.isEmpty(otherPeer.closes)
        other.socket.destroy()
      }, (server) =>
        server.onData = (_peer, chunk) => {
          if (chunk.toString() === "bad") throw new Error("no such packet")
        }))

    it.effect("stop accepts no more and keeps who is there", () =>
      connected(async (server, client, peer, listener) => {
        await Effect.runPromise(listener.stop)
        await Effect.runPromise(listener.stop)
        const late = await open(listener)
        assert.isFalse(late.connected)
        assert.match(late.error ?? "", /refused|ENOENT/i)
        client.socket.write("still here")
        await server.until(() => peer.bytes === 10)
        peer.socket.write(peer.all, 0, 10)
        await client.until(() => client.receivedBytes === 10)
      }))

    it.effect("the end of the scope stops it", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const listener = yield* Scope.provide(implementation.listen(options(), new Server()), scope)
        yield* Scope.close(scope, Exit.void)
        const late = yield* Effect.promise(() => open(listener))
        assert.isFalse(late.connected)
      }))

    it.effect.skipIf(isUnix)("IPv6", () =>
      Effect.gen(function* () {
        const server = new Server()
        const listener = yield* implementation.listen({ ...loopback, address: "::1" }, server)
        yield* Effect.promise(async () => {
          const client = await open(listener, "::1")
          const peer = await server.peer()
          assert.strictEqual(peer.socket.remoteAddress, "::1")
          client.socket.destroy()
          await server.until(() => peer.closes.length > 0)
        })
      }))

    it.effect("AddressInUse names the address", () =>
      Effect.gen(function* () {
        const listener = yield* implementation.listen(options(), new Server())
        const error = yield* Effect.flip(
          implementation.listen({ ...loopback, address: listener.address, port: listener.port }, new Server())
        )
        assert.instanceOf(error, ListenFailed)
        assert.strictEqual(error.reason, "AddressInUse")
        assert.strictEqual(
          error.message,
          `cannot listen on ${hostPort(listener.address, listener.port)}: the address is in use`
        )
      }))

    it.effect.skipIf(isUnix)("AddressNotAvailable", () =>
      Effect.gen(function* () {
        // TEST-NET-1: no machine has it.
        const error = yield* Effect.flip(implementation.listen({ ...loopback, address: "192.0.2.1" }, new Server()))
        assert.strictEqual(error.reason, "AddressNotAvailable")
        assert.match(error.message, /^cannot listen on 192\.0\.2\.1:0: /)
      }))

    it.effect.skipIf(isUnix)("a host name that nobody knows", () =>
      Effect.gen(function* () {
        // RFC 6761: no name under .invalid is ever there.
        const error = yield* Effect.flip(implementation.listen({ ...loopback, address: "no.invalid" }, new Server()))
        assert.strictEqual(
          error.message,
          "cannot listen on no.invalid:0: this is no IP address, and no host of this name is known"
        )
      }))

    it.effect.skipIf(isUnix)("Other: a port that is none", () =>
      Effect.gen(function* () {
        const port = yield* Effect.flip(implementation.listen({ ...loopback, port: 70000 }, new Server()))
        assert.strictEqual(port.reason, "Other")
        assert.match(port.message, /^cannot listen on 127\.0\.0\.1:70000: /)
      }))

    // node:net on Bun ignores its backlog; there it is used in this test alone.
    it.effect.skipIf(isUnix || implementation !== tcp)(
      "a backlog above 512 holds a burst of connects",
      () =>
        Effect.gen(function* () {
          const server = new Server()
          const listener = yield* implementation.listen(options(), server)
          const burst = 900
          const began = performance.now()
          const sockets: Array<Socket> = []
          // All connects are asked for within one turn of the loop, in which nobody accepts.
          for (let index = 0; index < burst; index++) {
            const socket = connect({ port: listener.port, host: "127.0.0.1" })
            socket.on("error", () => {})
            sockets.push(socket)
          }
          yield* Effect.promise(() => server.until(() => server.peers.length === burst))
          // Each connect that overflows the backlog is tried again by the kernel after one second.
          assert.isBelow(performance.now() - began, 950)
          for (const socket of sockets) socket.destroy()
          yield* Effect.promise(() => server.until(() => server.peers.every((peer) => peer.closes.length > 0)))
        })
    )
  })
}

describe("listenFailed", () => {
  const failure = (code: string) =>
    listenFailed({ address: "::", port: 80, backlog: 1 }, Object.assign(new Error("x"), { code }))

  it("tells the reasons apart", () => {
    assert.strictEqual(failure("EACCES").reason, "PermissionDenied")
    assert.strictEqual(failure("EACCES").message, "cannot listen on [::]:80: permission denied")
    assert.strictEqual(failure("EADDRINUSE").reason, "AddressInUse")
    assert.strictEqual(failure("EADDRNOTAVAIL").reason, "AddressNotAvailable")
    assert.strictEqual(failure("ENOTSUP").reason, "Other")
    assert.strictEqual(failure("ENOTSUP").message, "cannot listen on [::]:80: x")
  })
})

it("the runtime's own is chosen", () => {
  assert.strictEqual(tcp, onBun ? tcpBun : tcpNode)
})
