// Where a node of a cluster listens, what it advertises and what it is called; and settings that would let strangers in.
import { assert, describe, it } from "@effect/vitest"
import { clusterFaults } from "../../src/config/clusterFaults.ts"
import { clusterAdvertises, clusterListensOn, nodeNameOf } from "../../src/config/nodeAddresses.ts"
import { nodeAddressOf } from "../../src/config/sections/cluster.ts"
import { type ClusterSettings, defaultSettings, type Settings } from "../../src/config/Settings.ts"

const settings = (cluster: Partial<ClusterSettings>, name = defaultSettings.node.name): Settings => ({
  ...defaultSettings,
  node: { ...defaultSettings.node, name },
  cluster: { ...defaultSettings.cluster, ...cluster }
})

const faults = (cluster: Partial<ClusterSettings>): ReadonlyArray<string> =>
  clusterFaults(settings(cluster)).map(({ paths, message }) => `${paths[0]?.join(".")}: ${message}`)

describe("addresses of nodes", () => {
  it("are read in all their forms", () => {
    const read = (text: string) => nodeAddressOf(text)
    assert.deepStrictEqual(read("10.0.0.1"), { host: "10.0.0.1", port: 4370 })
    assert.deepStrictEqual(read("host.example:1"), { host: "host.example", port: 1 })
    assert.deepStrictEqual(read("[fd00::1]:4371"), { host: "fd00::1", port: 4371 })
    assert.deepStrictEqual(read("[::]"), { host: "::", port: 4370 })
    assert.deepStrictEqual(read("unix:/run/a.sock"), { host: "unix:/run/a.sock", port: 0 })
    for (const wrong of ["", "a:b", "a:65536", "a b", "fd00::1", "unix:", "http://a"]) assert.isUndefined(read(wrong))
  })

  it("without a secret a node listens on loopback, with one everywhere, and tells others an address of its own", () => {
    assert.deepStrictEqual(clusterListensOn(settings({}).cluster), { host: "127.0.0.1", port: 4370 })
    const everywhere = settings({ secret: "x" }).cluster
    assert.deepStrictEqual(clusterListensOn(everywhere), { host: "0.0.0.0", port: 4370 })
    assert.notInclude(["0.0.0.0", "::", ""], clusterAdvertises(everywhere, 4370).host)
    assert.deepStrictEqual(
      clusterAdvertises(settings({ advertise: "nat.example:99" }).cluster, 4370),
      { host: "nat.example", port: 99 }
    )
    assert.deepStrictEqual(
      clusterAdvertises(settings({ listen: "127.0.0.1:0" }).cluster, 5_000),
      { host: "127.0.0.1", port: 5_000 }
    )
  })

  it("a node of a cluster without a name has one of its address; every other keeps its own", () => {
    assert.strictEqual(nodeNameOf(settings({})), "emqttd@127.0.0.1")
    assert.strictEqual(nodeNameOf(settings({ listen: "127.0.0.1:4371" })), "emqttd@127.0.0.1:4371")
    assert.strictEqual(nodeNameOf(settings({ listen: "127.0.0.1:4371", advertise: "10.0.0.7" })), "emqttd@10.0.0.7")
    assert.strictEqual(nodeNameOf(settings({ listen: "127.0.0.1:4371" }, "mine@here")), "mine@here")
  })

  it("settings that would let strangers in, or could not work, are faults", () => {
    assert.deepStrictEqual(faults({ tls: true, secret: "a", secretFile: "b" }), [], "nothing holds without a cluster")
    assert.match(
      faults({ listen: "10.0.0.1:4370" }).join(),
      /^cluster\.listen: 10\.0\.0\.1 can be reached from other machines/
    )
    assert.deepStrictEqual(faults({ listen: "10.0.0.1:4370", secret: "x" }), [])
    assert.deepStrictEqual(faults({ listen: "[::1]:4370" }), [])
    assert.match(faults({ peers: ["[::1]", "10.0.0.2:4371"] }).join(), /^cluster\.peers: 10\.0\.0\.2 is not loopback/)
    assert.deepStrictEqual(faults({ peers: ["10.0.0.2:4371"], secret: "x" }), [])
    assert.deepStrictEqual(faults({ peers: ["127.0.0.1:4371", "[::1]", "localhost", "unix:/a"] }), [])
    assert.match(
      faults({ peers: ["a"], secret: "a", secretFile: "b" }).join(),
      /^cluster\.secret_file: there is a secret as well/
    )
    assert.strictEqual(faults({ peers: ["a"], tls: true }).length, 3)
    assert.match(
      faults({ peers: ["a"], maxFrameBytes: 1024 * 1024 }).join(),
      /^cluster\.max_frame: has to be 256 KiB above/
    )
  })
})
