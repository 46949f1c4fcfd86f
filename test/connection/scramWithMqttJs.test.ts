// SCRAM with a client that others have written: MQTT.js, whose user gives it what to say in AUTH.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import mqtt, { type IConnackPacket } from "mqtt"
import { makeUser } from "../../src/access/users/makeUser.ts"
import { defaultListener } from "../../src/config/Settings.ts"
import { startInnerBroker } from "../support/innerBroker.ts"
import { clientFinal } from "../support/scramClient.ts"

const method = "SCRAM-SHA-512"
const offered = { mechanisms: [method], iterations: 4_096 } as const

/** The name of the server's proof, or why it did not come in. */
const comesIn = (port: number, password: string): Promise<string> =>
  new Promise((resolve) => {
    const bare = "n=bob,r=a nonce of MQTT.js".replaceAll(" ", "-")
    const client = mqtt.connect({
      host: "127.0.0.1",
      port,
      protocolVersion: 5,
      clientId: `mqttjs-${password}`,
      reconnectPeriod: 0,
      properties: { authenticationMethod: method, authenticationData: Buffer.from(`n,,${bare}`) }
    })
    client.handleAuth = ({ properties }, callback) => {
      const serverFirst = properties?.authenticationData?.toString() ?? ""
      const authenticationData = Buffer.from(clientFinal(method, password, bare, serverFirst))
      callback(undefined, {
        cmd: "auth",
        reasonCode: 0x18,
        properties: { authenticationMethod: method, authenticationData }
      })
    }
    const leave = (answer: string) => client.end(true, () => resolve(answer))
    client.on("connect", ({ properties }: IConnackPacket) => leave(properties?.authenticationData?.toString() ?? ""))
    client.on("error", (error) => leave(error.message))
  })

describe("SCRAM with MQTT.js", () => {
  it("comes in with the password, and with no other", async () => {
    const inner = await startInnerBroker((settings) => ({
      ...settings,
      // Over TCP, whatever the run is over.
      listeners: [{ ...defaultListener, address: "127.0.0.1", port: 0 }],
      auth_scram: offered
    }))
    try {
      inner.broker.kept.users.put(await Effect.runPromise(makeUser("bob", "pencil", false, offered)))
      const port = inner.broker.addresses[0]?.port ?? 0
      assert.match(await comesIn(port, "pencil"), /^v=[A-Za-z0-9+/]{86}==$/)
      assert.match(await comesIn(port, "brush"), /Not authorized/)
    } finally {
      await inner.stop()
    }
  })
})
