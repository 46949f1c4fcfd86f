import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, PlatformError } from "effect"
import type { Environment } from "../../src/config/environment.ts"
import { loadSettings } from "../../src/config/loadSettings.ts"

const failure = (tag: PlatformError.SystemErrorTag, cause?: unknown) =>
  PlatformError.systemError({ _tag: tag, module: "FileSystem", method: "readFileString", cause })

/** A disk with these files; a value that is an error is what reading gives. */
const disk = (files: { readonly [name: string]: string | PlatformError.PlatformError }) =>
  FileSystem.layerNoop({
    exists: (name) => {
      const found = files[name]
      return found instanceof PlatformError.PlatformError ? Effect.fail(found) : Effect.succeed(found !== undefined)
    },
    readFileString: (name) => {
      const found = files[name] ?? failure("NotFound")
      return typeof found === "string" ? Effect.succeed(found) : Effect.fail(found)
    }
  })

const inflight = (value: number) => `[session]\nmax_inflight = ${value}\n`

const load = (
  files: { readonly [name: string]: string | PlatformError.PlatformError },
  options: { readonly file?: string; readonly environment?: Environment } = {}
) =>
  loadSettings({ environment: {}, ...options }).pipe(
    Effect.map(({ file, settings }) => [file, settings.session.maxInflight]),
    Effect.catchTag("SettingsInvalid", ({ faults }) => Effect.succeed(faults)),
    Effect.provide(disk(files))
  )

describe("the file", () => {
  it.effect("is looked for in its order, and none is fine", () =>
    Effect.gen(function* () {
      const here = { "emqttd.toml": inflight(1) }
      const there = { "/etc/emqttd/emqttd.toml": inflight(2) }
      const named = { "env.toml": inflight(3), "flag.yml": "session: { max_inflight: 4 }" }
      const environment = { EMQTTD_CONFIG: "env.toml" }
      assert.deepStrictEqual(yield* load({}), [undefined, 32])
      assert.deepStrictEqual(yield* load(there), ["/etc/emqttd/emqttd.toml", 2])
      assert.deepStrictEqual(yield* load({ ...here, ...there }), ["emqttd.toml", 1])
      assert.deepStrictEqual(yield* load({ ...here, ...named }, { environment }), ["env.toml", 3])
      assert.deepStrictEqual(yield* load(named, { environment, file: "flag.yml" }), ["flag.yml", 4])
      assert.deepStrictEqual(yield* load(here, { environment: { EMQTTD_CONFIG: "" } }), ["emqttd.toml", 1])
    }))

  it.effect("that is named has to be there; one that is there has to be readable", () =>
    Effect.gen(function* () {
      const directory = Object.assign(new Error("EISDIR"), { code: "EISDIR" })
      assert.deepStrictEqual(yield* load({}, { file: "a.toml" }), ["a.toml: no such file"])
      assert.deepStrictEqual(yield* load({}, { environment: { EMQTTD_CONFIG: "b.toml" } }), ["b.toml: no such file"])
      assert.deepStrictEqual(yield* load({ "emqttd.toml": failure("PermissionDenied") }), [
        "emqttd.toml: permission denied"
      ])
      assert.deepStrictEqual(yield* load({ "emqttd.toml": failure("Unknown", directory) }), [
        "emqttd.toml: is a directory"
      ])
      assert.match(String(yield* load({ "emqttd.toml": failure("Busy") })), /^emqttd\.toml: cannot be read \(/)
    }))

  it.effect("whose syntax is wrong gives that fault alone; others come together", () =>
    Effect.gen(function* () {
      const environment = { EMQTTD_SESSION__MAX_INFLIGHT: "x" }
      assert.deepStrictEqual(yield* load({ "emqttd.toml": "[node" }, { environment }), [
        "emqttd.toml:1: syntax: expected ']' (column 6)"
      ])
      assert.deepStrictEqual(yield* load({ "emqttd.toml": "[node]\nx = 1" }, { environment }), [
        "emqttd.toml:2: node.x: unknown key",
        `EMQTTD_SESSION__MAX_INFLIGHT: session.max_inflight: expected a whole number from 1 to 65,535, got "x"`
      ])
    }))
})
