import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { Answer, Credentials } from "../../../src/access/authentication/AuthLink.ts"
import { makeLinks } from "../../../src/access/authentication/makeLinks.ts"
import { type AuthCertificateSettings, defaultSettings } from "../../../src/config/Settings.ts"
import { credentials } from "./tokens.ts"
import { linkParts } from "../../support/linkParts.ts"

const [listener] = defaultSettings.listeners
const listeners = listener === undefined ? [] : [
  { ...listener, name: "by_subject", certificateAs: "user_name_dn" as const },
  { ...listener, name: "tls", certificateAs: "user_name_cn" as const }
]

const linkOf = (change: Partial<AuthCertificateSettings>) =>
  Effect.provide(
    makeLinks({
      ...defaultSettings,
      listeners,
      authentication: { ...defaultSettings.authentication, links: ["certificate"] },
      auth_certificate: { ...defaultSettings.auth_certificate, ...change }
    }, linkParts()),
    NodeFileSystem.layer
  )

const ask = (change: Partial<AuthCertificateSettings>, given: Partial<Credentials>) =>
  Effect.map(linkOf(change), ([link]) => link?.check(credentials(undefined, { address: "203.0.113.9", ...given })))

const named = { certificateName: "plc-7", certificateSubject: "O=x, CN=plc-7" }
const allowed = (userName: string): Answer => ({ _tag: "Allow", superuser: false, userName })
const ignored: Answer = { _tag: "Ignore" }

describe("the link certificate", () => {
  it.effect("the name in the certificate, whatever the client says of itself", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* ask({}, { ...named, userName: undefined }), allowed("plc-7"))
      assert.deepStrictEqual(yield* ask({}, { ...named, userName: "root" }), allowed("plc-7"))
      assert.deepStrictEqual(
        yield* ask({}, { ...named, userName: named.certificateSubject }),
        allowed("plc-7")
      )
      for (const userName of [undefined, "plc-7", named.certificateSubject]) {
        assert.deepStrictEqual(
          yield* ask({}, { ...named, listener: "by_subject", userName }),
          allowed(named.certificateSubject)
        )
      }
      assert.deepStrictEqual(
        yield* ask({}, { ...named, listener: "by_subject", certificateSubject: "" }),
        ignored
      )
      assert.deepStrictEqual(yield* ask({}, {}), ignored)
      assert.deepStrictEqual(yield* ask({}, { certificateName: "", certificateSubject: "", userName: "" }), ignored)
    }))

  it.effect("only of some listeners, and only some names", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* ask({ listeners: ["tls"] }, { ...named, listener: "tls" }), allowed("plc-7"))
      assert.deepStrictEqual(yield* ask({ listeners: ["tls"] }, { ...named, listener: "wss" }), ignored)
      for (
        const [commonNameRegex, expected] of [["plc-[0-9]+", allowed("plc-7")], ["plc", ignored], [
          "lc-7",
          ignored
        ]] as const
      ) {
        assert.deepStrictEqual(yield* ask({ commonNameRegex }, named), expected, commonNameRegex)
      }
      const fault = yield* Effect.flip(linkOf({ commonNameRegex: "(" }))
      assert.match(fault.message, /^auth_certificate\.common_name_regex: .+$/)
    }))

  it.effect("who is in may stay as long as its certificate would let it in", () =>
    Effect.gen(function* () {
      const who = {
        clientId: "c",
        userName: "plc-7",
        address: "203.0.113.9",
        certificateName: "plc-7",
        superuser: false
      }
      const stays = (change: Partial<AuthCertificateSettings>, listener: string) =>
        Effect.map(linkOf(change), ([link]) => link?.stillAllows?.({ ...who, listener }))
      assert.isTrue(yield* stays({}, "tls"))
      assert.isFalse(yield* stays({ listeners: ["wss"] }, "tls"))
      assert.isFalse(yield* stays({ commonNameRegex: "dev-.*" }, "tls"))
    }))
})
