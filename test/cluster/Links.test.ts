// Links between nodes over real sockets, in one process: who is let in, what arrives, and what happens when one side is slow, silent,
// broken, or speaks something else.
import { afterEach, assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { connect, createServer, type Server, type Socket } from "node:net"
import { FrameKind } from "../../src/cluster/Bus.ts"
import { Refusal } from "../../src/cluster/links/handshake.ts"
import { LinkedNode, type LinkedOptions, until } from "./LinkedNode.ts"

const nodes: Array<LinkedNode> = []
const sockets: Array<Socket | Server> = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) {
    if ("destroy" in socket) socket.destroy()
    else socket.close()
  }
  for (const node of nodes.splice(0)) await node.close()
})

const node = async (name: string, options: LinkedOptions = {}): Promise<LinkedNode> => {
  const made = await new LinkedNode(name, options).listen()
  nodes.push(made)
  return made
}

const pair = async (options: LinkedOptions = {}): Promise<readonly [LinkedNode, LinkedNode]> => {
  const [a, b] = [await node("a", options), await node("b", options)]
  a.call(b)
  await until(() => a.seen.length > 0 && b.seen.length > 0)
  assert.deepStrictEqual([a.seen, b.seen], [["up b v1"], ["up a v1"]])
  a.seen.length = b.seen.length = 0
  return [a, b]
}

const text = (one: string): Buffer => Buffer.from(one)

describe("Links", () => {
  it("frames arrive in order, both ways, and one write carries those of a turn", async () => {
    const [a, b] = await pair()
    for (let index = 0; index < 100; index++) assert.isTrue(a.links.send("b", FrameKind.Messages, text(`${index}`)))
    assert.isTrue(b.links.send("a", FrameKind.RoutesDelta, text("back")))
    assert.isFalse(a.links.send("c", FrameKind.Messages, text("nobody")))
    await until(() => a.seen.length === 1 && b.seen.length === 100)
    assert.deepStrictEqual(b.seen, Array.from({ length: 100 }, (_, index) => `a: ${index}`))
    assert.deepStrictEqual(a.seen, ["b: back"])
    assert.strictEqual(a.counters.cluster_queue_full_total, 0)
  })

  it("100 MB come through a slow reader in order, within the bounds of the queue, and the sender is told when there is room", async () => {
    const [a, b] = await pair({ settings: { maxSendQueueBytes: 4 * 1024 * 1024 } })
    const frames = 2_000
    const body = Buffer.alloc(50_000)
    let next = 0
    let highest = 0
    const push = () => {
      while (next < frames) {
        body.writeUInt32BE(next)
        if (!a.links.send("b", FrameKind.Messages, body)) return
        highest = Math.max(highest, a.links.links.get("b")?.queue.bytes ?? 0)
        next++
      }
    }
    let received = 0
    let inOrder = true
    b.onFrame = (_peer, _kind, bytes) => {
      inOrder &&= bytes.readUInt32BE() === received && bytes.length === body.length
      received++
    }
    push()
    assert.isBelow(next, frames)
    await until(() => {
      if (a.seen.includes("writable b")) {
        a.seen.length = 0
        push()
      }
      return received === frames
    })
    assert.isTrue(inOrder)
    assert.isAtMost(highest, 4 * 1024 * 1024)
    await until(() => (a.links.links.get("b")?.queue.underWay ?? 0) < 2 * 1024 * 1024)
  })

  it("membership's frames overtake a queue that is full", async () => {
    const [a, b] = await pair()
    const heard: Array<number> = []
    const probes = {
      kinds: [FrameKind.Probe],
      linkUp: () => {},
      linkDown: () => {},
      receive: () => void heard.push(b.seen.length)
    }
    b.cluster.add(probes)
    for (let index = 0; index < 3; index++) a.links.send("b", FrameKind.Messages, text("m"))
    a.links.send("b", FrameKind.Probe, text("p"))
    await until(() => heard.length === 1 && b.seen.length === 3)
    assert.deepStrictEqual(heard, [0])
  })

  it("both call each other at once: one link is left", async () => {
    for (let round = 0; round < 20; round++) {
      const [a, b] = [await node(`a${round}`), await node(`b${round}`)]
      a.call(b)
      b.call(a)
      await until(() => a.seen.length > 0 && b.seen.length > 0)
      for (let index = 0; index < 50; index++) a.links.send(`b${round}`, FrameKind.Messages, text("x"))
      await until(() => b.seen.length >= 51)
      for (let tick = 0; tick < 20; tick++) {
        a.pass(100)
        b.pass(100)
        await until(() => !a.scheduler.busy && !b.scheduler.busy)
      }
      assert.deepStrictEqual([a.seen, b.seen[0], b.seen.length], [[`up b${round} v1`], `up a${round} v1`, 51])
    }
  })

  it("no common version: refused, and both say so; versions that overlap take the highest common one", async () => {
    const [old, young] = [await node("old"), await node("young", { versions: { lowest: 2, highest: 3 } })]
    young.call(old)
    const reason = "no common version of the protocol between nodes: old speaks 1, the other one 2 to 3"
    await until(() => old.logged.length > 0 && young.logged.length > 0)
    assert.deepStrictEqual(old.logged, [`cluster: node refused {"reason":"${reason}"}`])
    assert.deepStrictEqual(young.logged, [`cluster: refused by a node {"reason":"${reason}"}`])
    const both = await node("both", { versions: { lowest: 1, highest: 2 } })
    both.call(old)
    both.call(young)
    await until(() => both.seen.length === 2)
    assert.deepStrictEqual(both.seen.toSorted(), ["up old v1", "up young v2"])
  })

  it("a later version joins: what it says beyond the older one's knowledge is passed over, wherever it says it", async () => {
    const [old, young] = [await node("old"), await node("young", { versions: { lowest: 1, highest: 2 } })]
    young.call(old)
    await until(() => old.seen.length === 1 && young.seen.length === 1)
    assert.deepStrictEqual([old.seen, young.seen], [["up young v1"], ["up old v1"]])
    const unknown = [0x0f, 0x1f, 0x2f, 0x80, 0xff].map((kind) => kind as FrameKind)
    for (let round = 0; round < 200; round++) {
      for (const kind of unknown) assert.isTrue(young.links.send("old", kind, Buffer.alloc(10_000)))
      await until(() => !young.links.isCongested("old"))
    }
    young.links.send("old", FrameKind.Messages, text("last"))
    await until(() => old.seen.length > 1)
    assert.deepStrictEqual(old.seen, ["up young v1", "young: last"])
    assert.deepStrictEqual([old.counters.cluster_frames_bad_total, young.counters.cluster_queue_full_total], [0, 0])
  })

  it("while a secret is changed two hold: one in common is enough, whichever stands first, and what goes ends its links", async () => {
    const [before, after] = ["the secret before", "the secret after it"]
    const [a, b] = [await node("a", { secrets: [before] }), await node("b", { secrets: [before] })]
    a.call(b)
    await until(() => a.seen.length === 1 && b.seen.length === 1)
    assert.strictEqual(a.links.useSecrets([after, before]), 0)
    for (const secrets of [[after, before], [before, after]]) {
      const [caller, called] = [
        await node(`caller ${secrets}`, { secrets }),
        await node(`called ${secrets}`, { secrets })
      ]
      caller.call(b)
      b.call(called)
      await until(() => caller.seen.length === 1 && called.seen.length === 1)
      assert.deepStrictEqual([caller.seen, called.seen], [["up b v1"], ["up b v1"]])
    }
    b.links.useSecrets([after, before])
    assert.strictEqual(a.links.links.get("b")?.phase, "up")
    a.seen.length = b.seen.length = 0
    assert.strictEqual(a.links.useSecrets([after]), 1)
    a.live()
    b.live()
    await until(() => a.seen.includes("up b v1") && b.seen.includes("up a v1"))
    assert.deepStrictEqual([a.seen, b.seen], [["down b", "up b v1"], ["down a", "up a v1"]])
    assert.strictEqual(b.links.links.get("a")?.secret, after)
    const late = await node("late", { secrets: [before] })
    late.call(a)
    await until(() => late.logged.length > 0)
    assert.deepStrictEqual(late.logged, [`cluster: node refused {"node":"a","reason":"another cluster secret"}`])
  })

  it("a proof is asked of both sides", async () => {
    const a = await node("a")
    const b = await node("b", { secrets: ["another"] })
    b.call(a)
    const reason = "another cluster secret"
    await until(() => a.logged.length > 0 && b.logged.length > 0)
    assert.deepStrictEqual(b.logged, [`cluster: node refused {"node":"a","reason":"${reason}"}`])
    assert.deepStrictEqual(a.logged, [`cluster: refused by a node {"node":"b","reason":"${reason}"}`])
    assert.deepStrictEqual([a.seen, b.seen], [[], []])
    assert.strictEqual(b.counters.cluster_links_refused_total, 1)
  })

  it("who knows no secret and leaves out the proof gets nowhere", async () => {
    const a = await node("a")
    const honest = new LinkedNode("honest", { secrets: ["guess"] })
    const hello: Array<Buffer> = []
    const server = createServer((socket) => {
      sockets.push(socket)
      socket.on("data", (chunk: Buffer) => hello.push(chunk))
    }).listen(0, "127.0.0.1")
    sockets.push(server)
    await until(() => server.listening)
    const address = server.address()
    honest.links.dialer.add([{
      host: "127.0.0.1",
      port: address !== null && typeof address === "object" ? address.port : 0
    }], 0)
    honest.pass(100)
    nodes.push(honest)
    await until(() => hello.length > 0)
    const message = Buffer.from([0, 0, 0, 2, FrameKind.Messages, 0x78])
    const intruder = connect(a.port, "127.0.0.1")
    sockets.push(intruder)
    const answer: Array<Buffer> = []
    intruder.on("data", (chunk: Buffer) => answer.push(chunk))
    let closed = false
    intruder.on("close", () => {
      closed = true
    })
    // The Hello that was overheard, then frames as if it had been let in.
    intruder.write(Buffer.concat([...hello, message]))
    await until(() => closed)
    assert.deepStrictEqual(a.seen, [])
    const kinds = [
      answer[0]?.readUInt8(4),
      Buffer.concat(answer).includes(Buffer.from([FrameKind.Refused, Refusal.Malformed]))
    ]
    assert.deepStrictEqual(kinds, [FrameKind.Challenge, true])

    // Or with a proof that is none.
    const guesser = connect(a.port, "127.0.0.1")
    sockets.push(guesser)
    const told: Array<Buffer> = []
    closed = false
    guesser.on("data", (chunk: Buffer) => told.push(chunk))
    guesser.on("close", () => {
      closed = true
    })
    const proof = Buffer.concat([Buffer.from([0, 0, 0, 33, FrameKind.Proof]), Buffer.alloc(32)])
    guesser.write(Buffer.concat([...hello, proof, message]))
    await until(() => closed)
    assert.deepStrictEqual(a.seen, [])
    assert.isTrue(Buffer.concat(told).includes(Buffer.from([FrameKind.Refused, Refusal.Secret])))
  })

  it("bytes of something else, or of nothing, cost one handshake and no more", async () => {
    const a = await node("a")
    const ends: Array<string> = []
    const say = (bytes: Buffer | undefined, name: string) => {
      const socket = connect(a.port, "127.0.0.1", () => {
        if (bytes !== undefined) socket.write(bytes)
      })
      sockets.push(socket)
      socket.on("data", () => {})
      socket.on("error", () => {})
      socket.on("close", () => ends.push(name))
    }
    say(Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), "http")
    say(Buffer.from([0xff, 0xff, 0xff, 0xff, 0]), "long")
    say(Buffer.from([0x10, 0x0c, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 0]), "mqtt")
    await until(() => ends.length === 3)
    say(undefined, "silent")
    await until(() => a.links.handshakes === 1)
    a.pass(6_000)
    await until(() => ends.length === 4)
    assert.strictEqual(a.links.handshakes, 0)
    assert.deepStrictEqual(a.seen, [])
    assert.strictEqual(a.counters.cluster_links_refused_total, 3)
  })

  it("a part that throws for what came ends that link, and it comes up again", async () => {
    const [a, b] = await pair()
    b.onFrame = () => {
      throw new RangeError("bad")
    }
    a.links.send("b", FrameKind.Messages, text("x"))
    a.live()
    b.live()
    await until(() => a.seen.filter((one) => one.startsWith("up")).length === 1)
    assert.deepStrictEqual([a.seen, b.seen], [["down b", "up b v1"], ["down a", "up a v1"]])
    assert.isTrue(b.logged.some((line) => line.includes("bytes that are none of ours: bad")))
    assert.strictEqual(b.counters.cluster_frames_bad_total, 1)
  })

  it("a link that is silent for five heartbeats is closed; one with nothing to say is kept", async () => {
    const [a, b] = await pair()
    for (let tick = 0; tick < 300; tick++) {
      a.pass(100)
      b.pass(100)
      await until(() => !a.scheduler.busy && !b.scheduler.busy)
    }
    assert.deepStrictEqual([a.seen, b.seen], [[], []])
    for (let second = 0; second < 11; second++) a.pass(1_000)
    await until(() => a.seen.length > 0)
    assert.strictEqual(a.seen[0], "down b")
    assert.isTrue(a.logged.some((line) => line.includes("silent for too long")))
  })

  it("a node that was restarted takes the place of its old link", async () => {
    const [a, b] = await pair()
    const again = await node("b")
    again.call(a)
    await until(() => again.logged.length > 0)
    assert.isTrue(again.logged.some((line) => line.includes("a node with this node.name is in the cluster already")))
    // The old one has not been heard of for a while: it is the one that is gone.
    a.now += 4_000
    again.now += 10_000
    again.call(a)
    again.pass(100)
    await until(() => again.seen.length > 0 && a.seen.length === 2)
    assert.deepStrictEqual(a.seen, ["down b", "up b v1"])
    assert.deepStrictEqual(again.seen, ["up a v1"])
    assert.isFalse(b.links.peers.has("c"))
  })

  it("the end of the actor's life is the end of its links, for both sides and their parts", async () => {
    const [a, b] = await pair()
    a.cluster.stop()
    await until(() => b.seen.length > 0)
    assert.deepStrictEqual([a.seen, b.seen], [["down b"], ["down a"]])
  })

  it("a part that crashes in its own time costs the links, which come up again in the next life", async () => {
    const [a, b] = [await node("a"), await node("b")]
    let broken = false
    a.cluster.add({
      kinds: [],
      linkUp: () => {},
      linkDown: () => {},
      receive: () => {},
      tick: () => {
        if (!broken) return
        broken = false
        throw new Error("a defect")
      }
    })
    const lives = Effect.runFork(Effect.exit(a.cluster.life))
    a.call(b)
    await until(() => a.seen.length > 0 && b.seen.length > 0)
    broken = true
    a.pass(100)
    const exit = await Effect.runPromise(Fiber.join(lives))
    assert.isTrue(Exit.isFailure(exit))
    await until(() => b.seen.length === 2)
    assert.deepStrictEqual([a.seen, b.seen], [["up b v1", "down b"], ["up a v1", "down a"]])
    Effect.runFork(a.cluster.life)
    a.pass(500)
    await until(() => a.seen.length === 3 && b.seen.length === 3)
  })

  it("without a secret nobody from elsewhere is let in", async () => {
    const a = await node("a", { secrets: [""] })
    const b = await node("b", { secrets: [""] })
    b.call(a)
    await until(() => a.seen.length > 0 && b.seen.length > 0)
  })
})
