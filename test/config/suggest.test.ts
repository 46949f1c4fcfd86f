import { assert, it } from "@effect/vitest"
import { knownKeys } from "../../src/config/SettingsSchema.ts"
import { nearest } from "../../src/config/suggest.ts"

const keys = [...knownKeys.values()].flat()

it("a slip finds its key", () => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ["max_inflihgt", "max_inflight"],
    ["maxinflight", "max_inflight"],
    ["Max-Inflight", "max_inflight"],
    ["prot", "port"],
    ["adress", "address"],
    ["datadir", "data_dir"],
    ["inflight", "max_inflight"],
    ["keepalive_multiplier", "keep_alive_multiplier"],
    ["await_rel_timeout", "await_pubrel_timeout"]
  ]
  for (const [slip, meant] of cases) assert.strictEqual(nearest(slip, keys), meant, slip)
})

it("a known key finds itself, and what is no slip finds nothing", () => {
  for (const key of keys) assert.strictEqual(nearest(key, keys), key)
  for (const word of ["", "x", "unheard_of", "zebra", "cluster_seeds"]) {
    assert.strictEqual(nearest(word, keys), undefined, word)
  }
})
