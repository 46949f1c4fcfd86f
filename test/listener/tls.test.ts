// TLS listeners of a real broker: which certificate is shown to whom, which clients come in and under which name, what a bad handshake
// tells the operator, and certificates that are exchanged while clients are connected.
import { afterEach, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { copyFileSync, writeFileSync } from "node:fs"
import { connect as connectTcp, type Socket } from "node:net"
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls"
import { defaultListener, type ListenerSettings } from "../../src/config/Settings.ts"
import { runtimeName } from "../../src/platform/runtimeName.ts"
import { RawClient } from "../platform/RawClient.ts"
import { type CertificateName, certificates, opensslMissing } from "../support/certificates.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import { connectBytes } from "../support/packets.ts"
import { TestClient } from "../support/TestClient.ts"
import { socketWire, upgradeRequest } from "../support/Wire.ts"
import { clientFrame } from "../support/wsPackage.ts"

if (opensslMissing !== undefined) console.log(`skipped: ${opensslMissing}`)
const onBun = runtimeName.startsWith("bun")

let inner: InnerBroker | undefined
const sockets: Array<Socket> = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await inner?.stop()
  inner = undefined
})

const startWith = async (settings: Partial<ListenerSettings>): Promise<InnerBroker> => {
  const files = certificates()
  const listener: ListenerSettings = {
    ...defaultListener,
    name: "tls",
    type: "tls",
    address: "127.0.0.1",
    port: 0,
    certificate: files.file("server.crt"),
    key: files.file("server.key"),
    ...settings
  }
  return inner = await startInnerBroker((all) => ({ ...all, listeners: [listener] }))
}

const portOf = ({ broker }: InnerBroker): number => broker.addresses[0]?.port ?? 0

/** A handshake that the client finds good; it judges the server by the test's authority. */
const handshake = (broker: InnerBroker, options: ConnectionOptions = {}): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const ca = certificates().text("ca.crt")
    const socket = connectTls({ host: "127.0.0.1", port: portOf(broker), ca, servername: "localhost", ...options })
    sockets.push(socket)
    socket.once("secureConnect", () => resolve(socket))
    socket.once("error", reject)
  })

const as = (name: CertificateName): ConnectionOptions => {
  const { certificate, key } = certificates().pair(name)
  return { cert: certificate, key }
}

const mqtt = async (broker: InnerBroker, options: ConnectionOptions = {}, clientId = "x"): Promise<TestClient> => {
  const socket = await handshake(broker, options)
  return (await TestClient.over((events) => socketWire(socket, events), 5)).connect({ clientId })
}

/** With TLS 1.3 the client learns after its own handshake that it is not wanted. */
const refused = async (broker: InnerBroker, options: ConnectionOptions): Promise<void> => {
  const before = broker.broker.counters.tls_handshakes_failed_total
  await handshake(broker, options).then(
    (socket) =>
      new Promise<void>((resolve) => {
        socket.on("error", () => {})
        socket.once("close", () => resolve())
        socket.resume()
      }),
    () => {}
  )
  // The other end of the loop may hear of it a turn later.
  while (broker.broker.counters.tls_handshakes_failed_total === before) {
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const nameShown = async (broker: InnerBroker, servername: string): Promise<unknown> => {
  const socket = await handshake(broker, { servername, checkServerIdentity: () => undefined })
  return socket.getPeerCertificate().subject.CN
}

describe.skipIf(opensslMissing !== undefined)("a TLS listener", () => {
  it.each(["TLSv1.2", "TLSv1.3"] as const)("speaks %s", async (version) => {
    const broker = await startWith({})
    const client = await mqtt(broker, { minVersion: version, maxVersion: version })
    await client.ping()
  })

  it("speaks only the versions that it is told", async () => {
    const broker = await startWith({ tlsVersions: ["1.3"] })
    await (await mqtt(broker)).ping()
    await refused(broker, { maxVersion: "TLSv1.2" })
  })

  it("shows each client the certificate of the name that it asks for", async () => {
    const files = certificates()
    const sniCertificates = ["other.example", "*.other.example"]
      .map((name) => `${name}=${files.file("other.crt")}:${files.file("other.key")}`)
    const broker = await startWith({ sniCertificates })
    assert.strictEqual(await nameShown(broker, "other.example"), "other.example")
    assert.strictEqual(await nameShown(broker, "A.Other.Example"), "other.example")
    assert.strictEqual(await nameShown(broker, "a.b.other.example"), "localhost")
    assert.strictEqual(await nameShown(broker, "localhost"), "localhost")
  })

  it("is told what a client without TLS is, and the operator too", async () => {
    const broker = await startWith({})
    const raw = await RawClient.connect(portOf(broker))
    raw.socket.write(connectBytes(4, { clientId: "plain" }))
    await raw.until(() => raw.closed || raw.ended)
    raw.socket.destroy()
    assert.isTrue(
      broker.lines.some((line) => /^TLS handshake failed .*"listener":"tls"/.test(line)),
      broker.lines.join()
    )
    assert.isFalse(
      broker.lines.some((line) => line.includes("SSL routines")),
      broker.lines.join()
    )
  })
})

describe.skipIf(opensslMissing !== undefined)("client certificates", () => {
  const withCa = (settings: Partial<ListenerSettings>) => startWith({ ca: certificates().file("ca.crt"), ...settings })

  it("required: only who has a good one comes in", async () => {
    const broker = await withCa({ clientCertificate: "required" })
    await (await mqtt(broker, as("client"))).ping()
    await refused(broker, {})
    await refused(broker, as("stranger"))
    assert.strictEqual(broker.broker.counters.connections_opened_total, 1)
  })

  it("optional: none is fine, one that is not good is not", async () => {
    const broker = await withCa({ clientCertificate: "optional" })
    await (await mqtt(broker, as("client"), "a")).ping()
    await (await mqtt(broker, {}, "b")).ping()
    await refused(broker, as("stranger"))
    assert.strictEqual(broker.broker.counters.connections_opened_total, 2)
  })

  it.each(
    [
      ["client_id_cn", "client-1"],
      ["client_id_dn", "CN=client-1,O=emqttd test"]
    ] as const
  )("certificate_as = %s: the client id is %s, whatever CONNECT says", async (certificateAs, clientId) => {
    const broker = await withCa({ clientCertificate: "required", certificateAs })
    await mqtt(broker, as("client"), "somebody else")
    assert.strictEqual(broker.session(clientId).clientId, clientId)
  })

  it.each(["TLSv1.2", "TLSv1.3"] as const)(
    "a client that takes up its session of %s again is who it was",
    async (version) => {
      if (!onBun) return // Deno's client keeps no session; with openssl s_client its server does the same.
      const broker = await withCa({ clientCertificate: "optional", certificateAs: "client_id_cn" })
      const options = { ...as("client"), minVersion: version, maxVersion: version }
      const first = await handshake(broker, options)
      const ticket = new Promise<Buffer>((resolve) => first.once("session", resolve))
      const client = await (await TestClient.over((events) => socketWire(first, events), 5)).connect({ clientId: "a" })
      const session = version === "TLSv1.2" ? first.getSession() ?? await ticket : await ticket
      client.drop()
      const again = await handshake(broker, { ...options, session })
      const second = await (await TestClient.over((events) => socketWire(again, events), 5)).connect({ clientId: "b" })
      await second.ping()
      assert.strictEqual(broker.connection("client-1").clientId, "client-1")
      assert.isTrue(again.isSessionReused())
    }
  )

  it("the name of a certificate counts over WebSocket too", async () => {
    const broker = await withCa({ type: "wss", clientCertificate: "required", certificateAs: "client_id_cn" })
    const socket = await handshake(broker, as("client"))
    let received = Buffer.alloc(0)
    socket.on("data", (chunk) => received = Buffer.concat([received, Buffer.from(chunk)]))
    socket.write(upgradeRequest())
    socket.write(clientFrame(2, connectBytes(4, { clientId: "x" }), true))
    while (!received.includes(Buffer.from("20020000", "hex"))) {
      await new Promise((resolve) => socket.once("data", resolve))
    }
    assert.strictEqual(broker.session("client-1").clientId, "client-1")
  })

  it("the user name of a certificate counts in the mount point", async () => {
    const broker = await withCa({ clientCertificate: "required", certificateAs: "user_name_cn", mountpoint: "of/%u/" })
    const client = await mqtt(broker, as("client"), "m")
    await client.subscribe("a")
    assert.deepStrictEqual([...broker.session("m").subscriptions?.topicFilters() ?? []], ["of/client-1/a"])
  })

  it.skipIf(!onBun)("one that is on the list of revoked ones is not good (Bun)", async () => {
    const broker = await withCa({ clientCertificate: "required", crl: certificates().file("crl.pem") })
    await (await mqtt(broker, as("client"))).ping()
    await refused(broker, as("revoked"))
  })

  it.skipIf(onBun)("a list of revoked ones that Deno would not read keeps the listener closed", async () => {
    const failed = await withCa({ clientCertificate: "required", crl: certificates().file("crl.pem") })
      .then(() => "started", (error: unknown) => String(error))
    assert.include(failed, "listener tls: crl: only Bun can, and this is Deno")
  })
})

describe.skipIf(opensslMissing !== undefined)("handshakes under way", () => {
  /** Connections that say nothing at all. */
  const silent = async (broker: InnerBroker, count: number): Promise<ReadonlyArray<RawClient>> => {
    const opened: Array<RawClient> = []
    for (let i = 0; i < count; i++) opened.push(await RawClient.connect(portOf(broker)))
    sockets.push(...opened.map(({ socket }) => socket))
    return opened
  }

  it("above the limit the next one is closed; who is connected keeps its service, and who comes later comes in", async () => {
    const broker = await startWith({ maxHandshakes: 3 })
    const client = await mqtt(broker, {}, "early")
    const waiting = await silent(broker, 3)
    const [fourth] = await silent(broker, 1)
    await fourth?.until(() => fourth.closed || fourth.ended)
    assert.strictEqual(broker.broker.counters.tls_handshakes_refused_total, 1)
    assert.isTrue(waiting.every((one) => !one.closed && !one.ended))
    await client.ping()
    for (const one of waiting) one.socket.destroy()
    // Each one that has gone makes room for another.
    let late: TestClient | undefined
    while (late === undefined) late = await mqtt(broker, {}, "late").catch(() => undefined)
    await late.ping()
  })

  it("a banned address is closed before its handshake, and so is one that comes too fast", async () => {
    const broker = await startWith({})
    const { bans, counters, settings } = broker.broker.services
    const value = "127.0.0.1"
    bans.add({ kind: "address", value, reason: "", by: "ctl", since: 0, until: Infinity })
    const [banned] = await silent(broker, 1)
    await banned?.until(() => banned.closed || banned.ended)
    assert.deepStrictEqual([counters.connections_banned_total, counters.tls_handshakes_refused_total], [1, 1])
    bans.remove("address", value, "ctl")
    broker.broker.overload.limit({ ...settings.limits, connectionRatePerAddress: 1 })
    const client = await mqtt(broker, {}, "first")
    const [fast] = await silent(broker, 1)
    await fast?.until(() => fast.closed || fast.ended)
    assert.deepStrictEqual([counters.connections_rate_exceeded_total, counters.tls_handshakes_refused_total], [1, 2])
    await client.ping()
  })

  it("one that takes too long is closed", async () => {
    const broker = await startWith({ handshakeTimeoutMillis: 100 })
    const [one] = await silent(broker, 1)
    await one?.until(() => one.closed || one.ended)
    assert.isTrue(broker.lines.some((line) => /^TLS handshake failed .*(took too long|timeout)/.test(line)))
    assert.strictEqual(broker.broker.counters.tls_handshakes_failed_total, 1)
  })
})

describe.skipIf(opensslMissing !== undefined)("certificates that are exchanged", () => {
  const put = (name: CertificateName): { certificate: string; key: string } => {
    const files = certificates()
    const target = { certificate: files.file("live.crt"), key: files.file("live.key") }
    copyFileSync(files.file(`${name}.crt`), target.certificate)
    copyFileSync(files.file(`${name}.key`), target.key)
    return target
  }
  const reload = ({ broker }: InnerBroker) => Effect.runPromise(broker.doors.reloadCertificates)

  it("new clients see the new one, and nobody is dropped", async () => {
    const broker = await startWith(put("server"))
    const early = await mqtt(broker, {}, "early")
    assert.strictEqual(await nameShown(broker, "localhost"), "localhost")
    put("other")
    await reload(broker)
    assert.strictEqual(await nameShown(broker, "localhost"), "other.example")
    const nameless = await handshake(broker, { servername: "", checkServerIdentity: () => undefined })
    assert.strictEqual(nameless.getPeerCertificate().subject.CN, "other.example")
    await early.ping()
    assert.include(broker.lines, `certificate changed {"listener":"tls"}`)
  })

  it.each(
    [
      [
        "a key of another",
        (): string => certificates().text("client.key"),
        "certificate and its key do not belong together"
      ],
      ["no key", (): string => "nothing", "key of certificate: there is no PEM private key in it"]
    ] as const
  )("a bad pair (%s) keeps the former and says why", async (_, key, reason) => {
    const broker = await startWith(put("server"))
    writeFileSync(certificates().file("live.key"), key())
    await reload(broker)
    assert.strictEqual(await nameShown(broker, "localhost"), "localhost")
    const fields = { listener: "tls", reason }
    assert.include(broker.lines, `certificate not changed: the former stays in force ${JSON.stringify(fields)}`)
    put("other")
    await reload(broker)
    assert.strictEqual(await nameShown(broker, "localhost"), "other.example")
  })
})

describe.skipIf(opensslMissing !== undefined)("behind a proxy", () => {
  it("the PROXY header comes before the handshake", async () => {
    const broker = await startWith({ proxyProtocol: true })
    const below = connectTcp({ host: "127.0.0.1", port: portOf(broker) })
    sockets.push(below)
    below.write("PROXY TCP4 127.0.0.9 127.0.0.1 4711 8883\r\n")
    const client = await mqtt(broker, { socket: below }, "behind")
    await client.ping()
    assert.strictEqual(broker.connection("behind").peer, "127.0.0.9:4711")
    const raw = await RawClient.connect(portOf(broker))
    raw.socket.write(Buffer.from("16030100", "hex"))
    await raw.until(() => raw.closed || raw.ended)
    raw.socket.destroy()
    assert.strictEqual(broker.broker.counters.proxy_headers_failed_total, 1)
  })
})
