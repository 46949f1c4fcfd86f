// What the operator of a process reads and gets for listeners that cannot be: the line, the exit code; and what SIGHUP does.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect as connectTls } from "node:tls"
import { certificates, opensslMissing } from "../support/certificates.ts"
import { EmqttdProcess, run } from "./EmqttdProcess.ts"

if (opensslMissing !== undefined) console.log(`skipped: ${opensslMissing}`)

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "emqttd-doors-"))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const withSettings = (text: string): ReadonlyArray<string> => {
  const file = join(folder, "emqttd.toml")
  writeFileSync(file, text)
  return ["--config", file, "--data", join(folder, "data")]
}

const tls = (certificate: string, key: string, more = "", port = 0): string =>
  `[listeners.tcp]\nenabled = false\n[listeners.tls]\naddress = "127.0.0.1"\nport = ${port}\n` +
  `certificate = "${certificate}"\nkey = "${key}"\n${more}`

describe("a listener that cannot be", () => {
  it.each([
    ["no certificate", tls("", ""), "missing: a listener of type tls needs one", 78],
    ["authorities left out", tls("a", "b", `client_certificate = "required"`), "needs authorities to judge by", 78],
    ["a zone that is not there", `[listeners.tcp]\nzone = "moon"`, "there is no table [zones.moon]", 78],
    ["a file that is not there", tls("/nowhere.crt", "/nowhere.key"), "certificate /nowhere.crt: no such file", 78]
  ])("%s", async (_, settings, line, exitCode) => {
    const { code, stderr } = await run(withSettings(settings))
    assert.include(stderr, line)
    assert.strictEqual(stderr.trim().split("\n").filter((one) => !one.includes("key: missing")).length, 1, stderr)
    assert.strictEqual(code, exitCode)
  })

  it("a Unix socket in a folder that is not there: exit 69", async () => {
    const { code, stderr } = await run(withSettings(`[listeners.tcp]\naddress = "unix:/nowhere/mqtt.sock"`))
    assert.include(stderr, "emqttd: listener tcp: cannot listen on unix:/nowhere/mqtt.sock")
    assert.strictEqual(code, 69)
  })

  it("an address in use: exit 69, whatever the type", async () => {
    const other = createServer()
    const port = await new Promise<number>((resolve) =>
      other.listen(0, "127.0.0.1", () => {
        const address = other.address()
        resolve(typeof address === "object" && address !== null ? address.port : 0)
      })
    )
    const files = opensslMissing === undefined ? certificates() : undefined
    const texts = [
      `[listeners.tcp]\naddress = "127.0.0.1"\nport = ${port}`,
      ...(files === undefined ? [] : [tls(files.file("server.crt"), files.file("server.key"), "", port)])
    ]
    for (const text of texts) {
      const { code, stderr } = await run(withSettings(text))
      assert.match(
        stderr,
        new RegExp(`^emqttd: listener (tcp|tls): cannot listen on 127.0.0.1:${port}: the address is in use\n$`)
      )
      assert.strictEqual(code, 69)
    }
    await new Promise((resolve) => other.close(resolve))
  })
})

describe.skipIf(opensslMissing !== undefined)("a certificate that is not good", () => {
  it("a key of another: exit 78, and the line says so", async () => {
    const files = certificates()
    const { code, stderr } = await run(withSettings(tls(files.file("server.crt"), files.file("client.key"))))
    assert.strictEqual(stderr, "emqttd: listener tls: certificate and its key do not belong together\n")
    assert.strictEqual(code, 78)
  })

  it("a file that is no certificate: exit 78", async () => {
    const files = certificates()
    const { code, stderr } = await run(withSettings(tls(files.file("crl.pem"), files.file("server.key"))))
    assert.strictEqual(stderr, "emqttd: listener tls: certificate: there is no PEM certificate in it\n")
    assert.strictEqual(code, 78)
  })

  it("a key without permission: exit 78", async () => {
    const key = join(folder, "locked.key")
    writeFileSync(key, "")
    chmodSync(key, 0)
    const { code, stderr } = await run(withSettings(tls(certificates().file("server.crt"), key)), {
      unprivileged: true
    })
    assert.strictEqual(stderr, `emqttd: listener tls: key ${key}: permission denied\n`)
    assert.strictEqual(code, 78)
  })
})

describe.skipIf(opensslMissing !== undefined)("SIGHUP", () => {
  const nameShown = (port: number): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const socket = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false })
      socket.once("secureConnect", () => {
        resolve(socket.getPeerCertificate().subject.CN)
        socket.destroy()
      })
      socket.once("error", reject)
    })

  it("reads settings and certificates again; faults are told and change nothing", async () => {
    const files = certificates()
    const live = { certificate: join(folder, "live.crt"), key: join(folder, "live.key") }
    const put = (name: string) => {
      copyFileSync(files.file(`${name}.crt`), live.certificate)
      copyFileSync(files.file(`${name}.key`), live.key)
    }
    put("server")
    const text = tls(live.certificate, live.key)
    const broker = new EmqttdProcess(withSettings(text))
    try {
      const port = Number((await broker.told(/listening: tls:\/\/127\.0\.0\.1:(\d+)/))[1])
      await broker.told(/is ready/)
      assert.strictEqual(await nameShown(port), "localhost")

      put("other")
      broker.signal("SIGHUP")
      await broker.told(/settings read again/)
      // On Deno a connection that comes in that very moment may still be shown the certificate from before.
      for (let tries = 0; tries < 20 && await nameShown(port) !== "other.example"; tries++);
      assert.strictEqual(await nameShown(port), "other.example")

      withSettings(`${text}\nmax_conections = 3`)
      broker.signal("SIGHUP")
      await broker.told(
        /settings not changed: .*max_conections: unknown key; did you mean listeners\.tls\.max_connections\?/
      )
      assert.strictEqual(await nameShown(port), "other.example")

      withSettings(`${text}\n[listeners.second]\naddress = "unix:${join(folder, "second.sock")}"`)
      broker.signal("SIGHUP")
      await broker.told(/listener opened.*second/)
      broker.signal("SIGTERM")
      assert.strictEqual((await broker.ended).code, 0)
    } finally {
      broker.kill()
    }
  })
})
