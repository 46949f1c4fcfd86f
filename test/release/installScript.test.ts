// scripts/install.sh against a release in a folder, made of small scripts in the place of 100 MB executables.
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { checksumsOf } from "../../scripts/release/checksums.ts"
import { archiveName, writeArchive } from "../../scripts/release/archive.ts"
import { targets } from "../../scripts/release/targets.ts"
import { projectRoot } from "../support/brokerCommand.ts"

const script = path.join(projectRoot, "scripts/install.sh")
// The script picks musl's where musl's loader is; here it is enough to have an archive of each kind.
const linux = targets.filter(({ name }) => name.startsWith("linux-"))

let folder = ""
let from = ""
let prefix = ""
beforeEach((context) => {
  context.skip(process.platform !== "linux", "the archives are packed with GNU tar")
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-install-"))
  from = path.join(folder, "from")
  prefix = path.join(folder, "prefix")
  publish("1.0.0")
})
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }))

const publish = (version: string, body = `echo emqttd ${version}`) => {
  fs.rmSync(from, { recursive: true, force: true })
  fs.mkdirSync(from)
  const executable = path.join(folder, "emqttd.sh")
  fs.writeFileSync(executable, `#!/bin/sh\n${body}\n`)
  for (const target of linux) {
    writeArchive(target, version, { executable, papers: [["LICENSE", "MIT"], ["man/emqttd.8", ".TH"]] }, from)
  }
  fs.writeFileSync(path.join(from, "SHA256SUMS"), checksumsOf(from))
}

const install = (...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync("sh", [script, "--prefix", prefix, ...args], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"] ?? "", HOME: folder }
  })
  return { status, stderr, stdout }
}
const installed = () => spawnSync(path.join(prefix, "bin/emqttd"), { encoding: "utf8" }).stdout
const files = () =>
  fs.existsSync(prefix)
    ? fs.readdirSync(prefix, { recursive: true, encoding: "utf8" }).filter((name) =>
      fs.statSync(path.join(prefix, name)).isFile()
    ).toSorted()
    : []

describe("scripts/install.sh", () => {
  it("installs from a folder and from a file:// URL, a newer one over an older one, and removes it again", () => {
    const first = install("--from", from)
    assert.deepStrictEqual([first.status, first.stderr], [0, ""])
    assert.include(first.stdout, `installed emqttd 1.0.0 as ${prefix}/bin/emqttd\n`)
    assert.deepStrictEqual(files(), ["bin/emqttd", "share/doc/emqttd/LICENSE", "share/man/man8/emqttd.8"])
    assert.strictEqual(installed(), "emqttd 1.0.0\n")
    publish("1.1.0-rc.1")
    assert.strictEqual(install("--from", `file://${from}/`).status, 0)
    assert.strictEqual(installed(), "emqttd 1.1.0-rc.1\n")
    assert.strictEqual(install("--uninstall").status, 0)
    assert.deepStrictEqual(files(), [])
  })

  it("a wrong checksum: says so and leaves everything as it was", () => {
    assert.strictEqual(install("--from", from).status, 0)
    publish("2.0.0")
    for (const target of linux) fs.appendFileSync(path.join(from, archiveName(target, "2.0.0")), "x")
    const { status, stderr } = install("--from", from)
    assert.strictEqual(status, 1)
    assert.match(
      stderr,
      /^install\.sh: emqttd-2\.0\.0-linux-\S+\.tar\.gz: the checksum is wrong .*nothing was installed\n$/
    )
    assert.strictEqual(installed(), "emqttd 1.0.0\n")
  })

  it("a version that is not there, a place that is not there, a program that does not run, bad usage: one line, exit 1", () => {
    const cases: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
      [["--from", from, "--version", "9.9.9"], /^install\.sh: \S+ has no emqttd 9\.9\.9 for linux-\S+\n$/],
      [["--from", path.join(folder, "nowhere")], /^install\.sh: \S+nowhere\/SHA256SUMS: cannot be read\n$/],
      [["--frm", from], /^install\.sh: unknown argument: --frm/],
      [["--from"], /^install\.sh: --from needs a value\n$/]
    ]
    for (const [args, line] of cases) {
      const { status, stderr } = install(...args)
      assert.strictEqual(status, 1)
      assert.match(stderr, line)
    }
    publish("3.0.0", "echo no such library >&2; exit 127")
    const broken = install("--from", from)
    assert.strictEqual(broken.status, 1)
    assert.match(broken.stderr, /it does not run here, nothing was installed: no such library\n$/)
    assert.deepStrictEqual(files(), [])
  })

  it("is clean to shellcheck", (context) => {
    context.skip(spawnSync("shellcheck", ["--version"]).status !== 0, "shellcheck not found")
    const { stdout } = spawnSync("shellcheck", ["--shell=sh", script], { encoding: "utf8" })
    assert.strictEqual(stdout, "")
  })
})
