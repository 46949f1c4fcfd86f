// mosquitto_pub and mosquitto_sub over TLS with a client certificate, against the broker as a process.
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import { certificates, opensslMissing } from "../support/certificates.ts"
import { BrokerProcess } from "./support/BrokerProcess.ts"
import { freePort } from "../support/freePort.ts"
import { endAll, missing, mosquittoPub, mosquittoSub } from "./support/mosquittoClients.ts"
import { uniqueName, versions } from "./support/MqttClient.ts"

const lacks = missing ?? opensslMissing ??
  (process.env["E2E_PORT"] === undefined ? undefined : "a broker that runs already has other certificates")
let broker: BrokerProcess | undefined
let port = 0

beforeAll(async () => {
  if (lacks !== undefined) return
  port = await freePort()
  const files = certificates()
  broker = await BrokerProcess.start(`
[listeners.tls]
address = "127.0.0.1"
port = ${port}
certificate = "${files.file("server.crt")}"
key = "${files.file("server.key")}"
ca = "${files.file("ca.crt")}"
client_certificate = "required"
certificate_as = "user_name_cn"
mountpoint = "of/%u/"
`)
  await broker.logged(/is ready/)
})
beforeEach((context) => context.skip(lacks !== undefined, lacks))
afterEach(endAll)
afterAll(() => broker?.stop())

const withCertificate = (name: "client" | "stranger", version: "tlsv1.2" | "tlsv1.3"): ReadonlyArray<string> => {
  const files = certificates()
  const own = ["--cert", files.file(`${name}.crt`), "--key", files.file(`${name}.key`)]
  return ["--cafile", files.file("ca.crt"), "--tls-version", version, ...own]
}

describe.each(versions)("mosquitto over TLS, MQTT $name", (version) => {
  it.each(["tlsv1.2", "tlsv1.3"] as const)(
    "publishes and subscribes with %s, under the name of its certificate",
    async (tls) => {
      const topic = uniqueName("topic")
      const own = withCertificate("client", tls)
      const subscriber = await mosquittoSub(port, version, [...own, "-t", `${topic}/#`, "-q", "1", "-C", "1"])
      const plain = await mosquittoSub(broker?.port ?? 0, version, ["-t", `of/client-1/${topic}/#`, "-C", "1"])
      await mosquittoPub(port, version, [...own, "-t", `${topic}/a`, "-q", "1", "-m", "hello"])
      assert.strictEqual(await subscriber.lines.next(), `${topic}/a 1 0 hello`)
      assert.strictEqual(await plain.lines.next(), `of/client-1/${topic}/a 0 0 hello`)
    }
  )
})

it("mosquitto_pub with the certificate of a stranger does not come in, and the log says so", async () => {
  const [version] = versions
  if (version === undefined) return
  const published = mosquittoPub(port, version, [...withCertificate("stranger", "tlsv1.2"), "-t", "x", "-m", "x"])
  assert.match(await published.then(() => "published", String), /mosquitto_pub ended with/)
  await broker?.logged(/TLS handshake failed/)
})
