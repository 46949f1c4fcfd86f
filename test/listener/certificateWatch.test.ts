// The files of certificates are looked at every few seconds: on the broker's own clock, which stands still here until it is told.
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Logger, Scope } from "effect"
import { TestClock } from "effect/testing"
import { copyFileSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect } from "node:tls"
import { Broker } from "../../src/app/Broker.ts"
import { defaultListener, defaultSettings } from "../../src/config/Settings.ts"
import { type CertificateName, certificates, opensslMissing } from "../support/certificates.ts"

const nameShown = (port: number) =>
  Effect.promise(() =>
    new Promise<unknown>((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false })
      socket.once("secureConnect", () => {
        resolve(socket.getPeerCertificate().subject.CN)
        socket.destroy()
      })
      socket.once("error", reject)
    })
  )

it.effect.skipIf(opensslMissing !== undefined)(
  "a file that is written anew is in force some seconds later",
  () =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "emqttd-watch-"))
      const put = (name: CertificateName) => {
        for (const end of ["crt", "key"]) {
          copyFileSync(certificates().file(`${name}.${end}`), join(folder, `live.${end}`))
        }
      }
      put("server")
      const scope = yield* Scope.make()
      const broker = yield* Scope.provide(
        Broker.start({
          ...defaultSettings,
          node: { ...defaultSettings.node, dataDir: folder },
          listeners: [{
            ...defaultListener,
            type: "tls",
            address: "127.0.0.1",
            port: 0,
            certificate: join(folder, "live.crt"),
            key: join(folder, "live.key")
          }]
        }),
        scope
      )
      const port = broker.addresses[0]?.port ?? 0
      put("other")
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(yield* nameShown(port), "localhost")
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* nameShown(port), "other.example")
      // A pair of which one half is there is left alone, and the whole one is taken.
      copyFileSync(certificates().file("server.crt"), join(folder, "live.crt"))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* nameShown(port), "other.example")
      put("server")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* nameShown(port), "localhost")
      yield* Scope.close(scope, Exit.void)
      rmSync(folder, { recursive: true, force: true })
    }).pipe(Effect.provide(Logger.layer([])))
)
