// Enhanced authentication: AUTH at CONNECT and while connected, in exact packets.
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { templateFor } from "../../src/access/authentication/passwords/PasswordHash.ts"
import { makeScramKeys } from "../../src/access/scram/ScramKeys.ts"
import type { User } from "../../src/access/users/User.ts"
import { frame, text } from "../support/bytes.ts"
import { type InnerBroker, startInnerBroker } from "../support/innerBroker.ts"
import { connectBytes, props, publishBytes, subscribeBytes } from "../support/packets.ts"
import { clientFinal, type Mechanism } from "../support/scramClient.ts"
import type { TestClient } from "../support/TestClient.ts"

const method = "SCRAM-SHA-256"
let inner: InnerBroker
let serial = 0
const newId = () => `auth${++serial}`

const userOf = async (name: string, password: string, superuser = false): Promise<User> => ({
  name,
  passwordHash: templateFor("pbkdf2-sha256", 1_000),
  superuser,
  scram: new Map([
    [method, await Effect.runPromise(makeScramKeys(method, password, 4_096))],
    ["SCRAM-SHA-512", await Effect.runPromise(makeScramKeys("SCRAM-SHA-512", password, 4_096))]
  ])
})

beforeAll(async () => {
  inner = await startInnerBroker((settings) => ({
    ...settings,
    authentication: { ...settings.authentication, timeoutMillis: 300 },
    auth_scram: { mechanisms: [method, "SCRAM-SHA-512"], iterations: 4_096 }
  }))
  const { users } = inner.broker.kept
  users.put(await userOf("bob", "pencil"))
  users.put(await userOf("root", "secret", true))
  users.put({ ...await userOf("old", "x"), scram: new Map() })
})
afterAll(() => inner.stop())

const authBytes = (reasonCode: number, data?: string, name: string = method) =>
  frame(0xf0, reasonCode, props(5, "15", text(name), ...data === undefined ? [] : ["16", text(data)]))

const connectWith = (data: string | undefined, options: { readonly method?: string; readonly more?: Buffer } = {}) =>
  connectBytes(5, {
    clientId: newId(),
    properties: [
      ...options.more === undefined ? [] : [options.more],
      "15",
      text(options.method ?? method),
      ...data === undefined ? [] : ["16", text(data)]
    ]
  })

const bareOf = (name: string) => `n=${name},r=clientnonce${++serial}`

/** AUTH 0x18 with the method; its data. */
const challenge = async (client: TestClient, name: string = method): Promise<string> => {
  const packet = await client.receive("auth", { reasonCode: 0x18 })
  expect(packet.properties?.authenticationMethod).toBe(name)
  return packet.properties?.authenticationData?.toString() ?? ""
}

/** Comes in; the connection is the test's from there. */
const comesIn = async (name = "bob", password = "pencil", mechanism: Mechanism = method): Promise<TestClient> => {
  const client = await inner.open(5)
  const bare = bareOf(name)
  client.send(connectWith(`n,,${bare}`, { method: mechanism }))
  const serverFirst = await challenge(client, mechanism)
  client.send(authBytes(0x18, clientFinal(mechanism, password, bare, serverFirst), mechanism))
  client.connack = await client.receive("connack", { reasonCode: 0 })
  return client
}

/** CONNACK with this reason, and closed. */
const refused = async (client: TestClient, reasonCode: number) => {
  const packet = await client.receive("connack", { reasonCode })
  expect(packet.properties?.authenticationData).toBeUndefined()
  await client.expectClosed()
}

describe("enhanced authentication at CONNECT", () => {
  it("[MQTT5-4.12.0-2] [MQTT5-4.12.0-3] [MQTT5-4.12.0-5] the server asks with AUTH 0x18, the client answers so, and CONNACK has the method and the server's proof", async () => {
    for (const mechanism of [method, "SCRAM-SHA-512"] as const) {
      const client = await comesIn("bob", "pencil", mechanism)
      expect(client.connack.properties?.authenticationMethod).toBe(mechanism)
      expect(client.connack.properties?.authenticationData?.toString()).toMatch(/^v=[A-Za-z0-9+/=]+$/)
      await client.ping()
    }
  })

  it("it is that user then, and a superuser where the database says so", async () => {
    const client = await comesIn("root", "secret")
    const id = [...inner.broker.listeners[0]?.connections ?? []].find(({ subject }) => subject.userName === "root")
    expect(id?.subject.superuser).toBe(true)
    await client.subscribe("$SYS/#")
  })

  it("[MQTT5-4.12.0-4] a wrong password, a user who is not there and one without keys get the same: 0x87, and closed", async () => {
    for (const name of ["bob", "nobody", "old"]) {
      const client = await inner.open(5)
      const bare = bareOf(name)
      client.send(connectWith(`n,,${bare}`))
      client.send(authBytes(0x18, clientFinal(method, "wrong", bare, await challenge(client))))
      const connack = await client.receive("connack", { reasonCode: 0x87 })
      expect(connack.properties).toEqual({ reasonString: "not authenticated" })
      await client.expectClosed()
    }
  })

  it("who is not there has the same salt each time, as who is", async () => {
    const salts: Array<string> = []
    for (const name of ["bob", "bob", "ghost", "ghost"]) {
      const client = await inner.open(5)
      client.send(connectWith(`n,,${bareOf(name)}`))
      salts.push(/s=([^,]*),i=4096$/.exec(await challenge(client))?.[1] ?? "")
      client.drop()
    }
    expect(salts[0]).toBe(salts[1])
    expect(salts[2]).toBe(salts[3])
    expect(salts[0]).not.toBe(salts[2])
    expect(salts[0]?.length).toBe(salts[2]?.length)
  })

  it("[MQTT5-4.12.0-1] a method that is not offered: 0x8C, and closed", async () => {
    for (const other of ["SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "scram-sha-256", "PLAIN", ""]) {
      const client = await inner.open(5)
      client.send(connectWith("n,,n=bob,r=x", { method: other }))
      const connack = await client.receive("connack", { reasonCode: 0x8c })
      expect(connack.properties).toEqual({ reasonString: "Bad authentication method" })
      await client.expectClosed()
    }
  })

  it("[MQTT5-4.12.0-4] what is no SCRAM message: 0x87, and closed", async () => {
    for (const data of [undefined, "", "nonsense", `p=tls-unique,,${bareOf("bob")}`, `n,a=root,${bareOf("bob")}`]) {
      const client = await inner.open(5)
      client.send(connectWith(data))
      await refused(client, 0x87)
    }
  })

  it("[MQTT5-4.12.0-5] an AUTH with another method: 0x82, and closed", async () => {
    const client = await inner.open(5)
    client.send(connectWith(`n,,${bareOf("bob")}`))
    await challenge(client)
    client.send(authBytes(0x18, "c=biws,r=x,p=AAAA", "SCRAM-SHA-512"))
    await refused(client, 0x82)
  })

  it("[MQTT5-4.12.0-3] an AUTH that begins anew instead of going on: 0x82, and closed", async () => {
    const client = await inner.open(5)
    client.send(connectWith(`n,,${bareOf("bob")}`))
    await challenge(client)
    client.send(authBytes(0x19, `n,,${bareOf("bob")}`))
    await refused(client, 0x82)
  })

  it("[MQTT5-3.1.2-30] anything but AUTH and DISCONNECT before CONNACK: 0x82, closed, and not processed", async () => {
    const topic = `auth/${newId()}`
    const watcher = await inner.connect(5)
    await watcher.subscribe(topic)
    for (
      const packet of [
        publishBytes(5, 0x30, topic),
        subscribeBytes(5, topic),
        frame(0xc0),
        connectBytes(5, { clientId: newId() })
      ]
    ) {
      const client = await inner.open(5)
      client.send(connectWith(`n,,${bareOf("bob")}`))
      await challenge(client)
      client.send(packet)
      await refused(client, 0x82)
    }
    const client = await inner.open(5)
    client.send(connectWith(`n,,${bareOf("bob")}`))
    await challenge(client)
    client.send(frame(0xe0))
    await client.expectClosed()
    await watcher.expectNothing()
  })

  it("a user name in CONNECT that is another one: 0x87", async () => {
    for (const [userName, reasonCode] of [["bob", 0], ["root", 0x87]] as const) {
      const client = await inner.open(5)
      const bare = bareOf("bob")
      const rest = [text(userName)]
      client.send(
        connectBytes(5, {
          clientId: newId(),
          flags: 0x82,
          rest,
          properties: ["15", text(method), "16", text(`n,,${bare}`)]
        })
      )
      client.send(authBytes(0x18, clientFinal(method, "pencil", bare, await challenge(client))))
      await client.receive("connack", { reasonCode })
      if (reasonCode !== 0) await client.expectClosed()
    }
  })

  it("a proof that was overheard is of no use a second time", async () => {
    const first = await inner.open(5)
    const bare = "n=bob,r=always-the-same"
    first.send(connectWith(`n,,${bare}`))
    const final = clientFinal(method, "pencil", bare, await challenge(first))
    first.send(authBytes(0x18, final))
    await first.receive("connack", { reasonCode: 0 })
    const second = await inner.open(5)
    second.send(connectWith(`n,,${bare}`))
    await challenge(second)
    second.send(authBytes(0x18, final))
    await refused(second, 0x87)
  })

  it("[MQTT5-3.1.2-24] an AUTH that is larger than the client takes is not sent: 0x95, and closed", async () => {
    const client = await inner.open(5)
    client.send(connectWith(`n,,${bareOf("bob")}`, { more: Buffer.from("2700000040", "hex") }))
    await refused(client, 0x95)
  })

  it("what is asked in the log: the user and what was wrong, no proof", () => {
    const lines = inner.lines.filter((line) => line.startsWith("enhanced authentication failed"))
    expect(lines.some((line) => line.includes('"user_name":"nobody"') && line.includes("no such user"))).toBe(true)
    expect(lines.join()).not.toMatch(/p=|c=biws/)
  })
})

describe("re-authentication", () => {
  const again = async (client: TestClient, name: string, password: string) => {
    const bare = bareOf(name)
    client.send(authBytes(0x19, `n,,${bare}`))
    const final = clientFinal(method, password, bare, await challenge(client))
    return () => client.send(authBytes(0x18, final))
  }

  it("[MQTT5-4.12.1-1] [MQTT5-4.12.0-5] AUTH 0x19 with the method of CONNECT, as often as it likes; AUTH 0x00 with the server's proof; other packets go on meanwhile", async () => {
    const client = await comesIn()
    for (let times = 0; times < 2; times++) {
      const finish = await again(client, "bob", "pencil")
      await client.ping()
      await client.subscribe("auth/x")
      finish()
      const packet = await client.receive("auth", { reasonCode: 0 })
      expect(packet.properties?.authenticationMethod).toBe(method)
      expect(packet.properties?.authenticationData?.toString()).toMatch(/^v=/)
    }
    await client.ping()
  })

  it("[MQTT5-4.12.1-2] a wrong password: DISCONNECT 0x87, closed, and the will is published", async () => {
    const topic = `auth/${newId()}`
    const watcher = await inner.connect(5)
    await watcher.subscribe(topic)
    const client = await inner.open(5)
    const bare = bareOf("bob")
    client.send(connectBytes(5, {
      clientId: newId(),
      flags: 0x06,
      properties: ["15", text(method), "16", text(`n,,${bare}`)],
      rest: ["00", text(topic), text("gone")]
    }))
    client.send(authBytes(0x18, clientFinal(method, "pencil", bare, await challenge(client))))
    await client.receive("connack", { reasonCode: 0 })
    const finish = await again(client, "bob", "wrong")
    finish()
    const packet = await client.receive("disconnect", { reasonCode: 0x87 })
    expect(packet.properties).toEqual({ reasonString: "not authenticated" })
    await client.expectClosed()
    await watcher.receive("publish", { topic })
  })

  it("[MQTT5-4.12.1-2] nobody becomes somebody else, also with the right password", async () => {
    const client = await comesIn()
    const finish = await again(client, "root", "secret")
    finish()
    await client.receive("disconnect", { reasonCode: 0x87 })
    await client.expectClosed()
  })

  it("[MQTT5-4.12.1-1] another method, a continuation of nothing, and a second beginning: DISCONNECT 0x82", async () => {
    for (
      const packets of [
        [authBytes(0x19, "n,,n=bob,r=x", "SCRAM-SHA-512")],
        [authBytes(0x18, "c=biws,r=x,p=AAAA")],
        [authBytes(0x19, "n,,n=bob,r=x"), authBytes(0x19, "n,,n=bob,r=x")]
      ]
    ) {
      const client = await comesIn()
      client.send(...packets)
      if (packets.length > 1) await challenge(client)
      await client.receive("disconnect", { reasonCode: 0x82 })
      await client.expectClosed()
    }
  })

  it("[MQTT5-4.12.1-2] one that is begun and not finished within authentication.timeout: DISCONNECT 0x87", async () => {
    const client = await comesIn()
    await again(client, "bob", "pencil")
    await client.receive("disconnect", { reasonCode: 0x87 })
    await client.expectClosed()
  })
})
