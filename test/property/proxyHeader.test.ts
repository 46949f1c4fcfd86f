// The PROXY header against a plain writer of it, cut at every place, and against bytes that are none.
import { assert, describe, it } from "@effect/vitest"
import { readProxyHeader } from "../../src/listener/proxyHeader.ts"
import { randomOf } from "../router/recorder.ts"

type Random = (n: number) => number

const forSeeds = (count: number, check: (seed: number) => void): void => {
  for (let seed = 1; seed <= count; seed++) check(seed)
}

const bytesBy = (random: Random, most: number): Buffer =>
  Buffer.from(Array.from({ length: random(most + 1) }, () => random(256)))
const ipv4By = (random: Random): string => Array.from({ length: 4 }, () => random(256)).join(".")
/** Many zero groups, so that each way to shorten comes. */
const ipv6By = (random: Random): string => {
  const groups = Array.from({ length: 8 }, () => random(2) === 0 ? 0 : random(65_536)).map((group) =>
    group.toString(16)
  )
  const at = random(9)
  const zeros = groups.slice(at).findIndex((group) => group !== "0")
  if (zeros <= 0) return groups.join(":")
  return `${groups.slice(0, at).join(":")}::${groups.slice(at + zeros).join(":")}`
}

const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex")

const groupsOf = (text: string): ReadonlyArray<number> => {
  const [head = "", tail] = text.split("::")
  const numbers = (part: string) => part === "" ? [] : part.split(":").map((group) => parseInt(group, 16))
  const before = numbers(head)
  const after = tail === undefined ? [] : numbers(tail)
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after]
}

const bytesOf = (address: string): Buffer =>
  address.includes(":")
    ? Buffer.from(groupsOf(address).flatMap((group) => [group >> 8, group & 0xff]))
    : Buffer.from(address.split(".").map(Number))

const portBytes = (port: number): Buffer => Buffer.from([port >> 8, port & 0xff])

const version2 = (command: number, family: number, follows: Buffer): Buffer =>
  Buffer.concat([signature, Buffer.from([0x20 | command, family]), portBytes(follows.length), follows])

/** The same address, however it is written. */
const same = (a: string, b: string): void => assert.strictEqual(bytesOf(a).toString("hex"), bytesOf(b).toString("hex"))

/** Cut anywhere it asks for more; whole, it says how long it is, whatever follows. */
const isHeader = (header: Buffer, follows: Uint8Array, client: { address: string; port: number } | undefined) => {
  for (let cut = 0; cut < header.length; cut++) {
    assert.isUndefined(readProxyHeader(header.subarray(0, cut)), `cut at ${cut}`)
  }
  const read = readProxyHeader(Buffer.concat([header, follows]))
  if (typeof read !== "object") throw new Error(`read as ${read}`)
  assert.strictEqual(read.length, header.length)
  if (client === undefined) return assert.isUndefined(read.client)
  assert.strictEqual(read.client?.port, client.port)
  same(read.client?.address ?? "", client.address)
}

describe("the PROXY header", () => {
  it("version 1", () => {
    forSeeds(300, (seed) => {
      const random = randomOf(seed)
      const six = random(2) === 1
      const [source, target] = six ? [ipv6By(random), ipv6By(random)] : [ipv4By(random), ipv4By(random)]
      const port = random(65_536)
      const header = Buffer.from(`PROXY TCP${six ? 6 : 4} ${source} ${target} ${port} ${random(65_536)}\r\n`)
      isHeader(header, bytesBy(random, 40), { address: source, port })
    })
  })

  it("version 2, with whatever follows the addresses", () => {
    forSeeds(300, (seed) => {
      const random = randomOf(seed)
      const six = random(2) === 1
      const [source, target] = six ? [ipv6By(random), ipv6By(random)] : [ipv4By(random), ipv4By(random)]
      const port = random(65_536)
      const addresses = [bytesOf(source), bytesOf(target), portBytes(port), portBytes(random(65_536))]
      const header = version2(1, six ? 0x21 : 0x11, Buffer.concat([...addresses, bytesBy(random, 30)]))
      isHeader(header, bytesBy(random, 40), { address: source, port })
    })
  })

  it("nobody is named by UNKNOWN, LOCAL and families without addresses", () => {
    isHeader(Buffer.from("PROXY UNKNOWN\r\n"), Buffer.alloc(0), undefined)
    isHeader(Buffer.from("PROXY UNKNOWN ffff::1 x 0 y\r\n"), Buffer.from("more"), undefined)
    isHeader(version2(0, 0, Buffer.alloc(0)), Buffer.from("more"), undefined)
    isHeader(version2(0, 0x11, Buffer.alloc(12)), Buffer.alloc(0), undefined)
    isHeader(version2(1, 0x31, Buffer.alloc(216)), Buffer.alloc(0), undefined)
  })

  it.each([
    ["an MQTT CONNECT", Buffer.from("100c00044d515454"), "it does not begin with a PROXY header"],
    ["a line that does not end", Buffer.from(`PROXY ${"x".repeat(101)}`), "version 1: longer than 107 bytes"],
    ["a line that is too long", Buffer.from(`PROXY UNKNOWN ${"x".repeat(92)}\r\n`), "version 1: longer than 107 bytes"],
    [
      "another protocol",
      Buffer.from("PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n"),
      "version 1: neither TCP4, TCP6 nor UNKNOWN"
    ],
    ["IPv6 as TCP4", Buffer.from("PROXY TCP4 ::1 ::1 1 1\r\n"), "version 1: addresses or ports are wrong"],
    [
      "a port too large",
      Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n"),
      "version 1: addresses or ports are wrong"
    ],
    [
      "a port with a zero",
      Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n"),
      "version 1: addresses or ports are wrong"
    ],
    ["one port", Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"), "version 1: addresses or ports are wrong"],
    ["a third port", Buffer.from("PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n"), "version 1: addresses or ports are wrong"],
    ["version 3", Buffer.concat([signature, Buffer.from("31110000", "hex")]), "version 2: another version"],
    ["an unknown command", version2(2, 0x11, Buffer.alloc(12)), "version 2: unknown command"],
    ["too little for IPv4", version2(1, 0x11, Buffer.alloc(11)), "version 2: too short for IPv4"],
    ["too little for IPv6", version2(1, 0x21, Buffer.alloc(35)), "version 2: too short for IPv6"],
    ["too much", version2(1, 0x11, Buffer.alloc(4097)).subarray(0, 16), "version 2: longer than 4,096 bytes"]
  ])("refuses %s", (_, bytes, fault) => {
    assert.strictEqual(readProxyHeader(bytes), fault)
  })

  it("any bytes at all: an answer, and more is asked for only below its maximum", () => {
    forSeeds(2_000, (seed) => {
      const random = randomOf(seed)
      const beginning = [Buffer.alloc(0), signature, Buffer.from("PROXY ")][random(3)] ?? signature
      const bytes = Buffer.concat([beginning, bytesBy(random, 120)])
      const read = readProxyHeader(bytes)
      if (typeof read === "object") assert.isAtMost(read.length, bytes.length)
      if (read === undefined) assert.isBelow(bytes.length, 16 + 4096)
    })
    assert.isString(readProxyHeader(Buffer.from("x")))
  })
})
