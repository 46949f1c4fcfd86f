// The rest of packaging/ and the workflows: well-formed, and saying what the broker and the release say.
import { assert, describe, it } from "@effect/vitest"
import { Yaml } from "effect/encoding"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { formulaOf } from "../../scripts/release/formula.ts"
import { targets } from "../../scripts/release/targets.ts"
import { projectRoot } from "../support/brokerCommand.ts"

const read = (file: string): string => fs.readFileSync(path.join(projectRoot, file), "utf8")

describe("the Homebrew formula", () => {
  const checksums = targets.map(({ name }, index) => `${String(index).repeat(64)}  emqttd-1.2.3-${name}.tar.gz\n`).join(
    ""
  )

  it("names the archive of each system with its checksum", () => {
    const formula = formulaOf("1.2.3", checksums) ?? ""
    const pairs = [...formula.matchAll(/on_(arm|intel) do\n +url "\S+\/v1\.2\.3\/(\S+)"\n +sha256 "(\w{64})"/g)]
    assert.deepStrictEqual(pairs.map(([, processor, archive, sum]) => [processor, archive, sum]), [
      ["arm", "emqttd-1.2.3-macos-arm64.tar.gz", "3".repeat(64)],
      ["intel", "emqttd-1.2.3-macos-x64.tar.gz", "4".repeat(64)],
      ["arm", "emqttd-1.2.3-linux-arm64.tar.gz", "1".repeat(64)],
      ["intel", "emqttd-1.2.3-linux-x64.tar.gz", "0".repeat(64)]
    ])
    const openers = formula.match(/^\s*(?:class\b.*|def \w+|.* do)$/gm)?.length
    assert.strictEqual(formula.match(/^\s*end$/gm)?.length, openers)
  })

  it("is not made of a part of a release", () => {
    assert.strictEqual(formulaOf("1.2.3", checksums.split("\n").slice(1).join("\n")), undefined)
  })
})

describe("the container", () => {
  const dockerfile = read("packaging/Dockerfile")

  it("runs as nobody in particular, and its health is what ctl says", () => {
    assert.match(dockerfile, /^USER emqttd$/m)
    assert.match(dockerfile, /^EXPOSE 1883 8883 8083 8084$/m)
    assert.match(dockerfile, /^HEALTHCHECK .* CMD \["\/usr\/bin\/emqttd", "ctl", "status"\]$/m)
    assert.match(dockerfile, /^ENTRYPOINT \["\/usr\/bin\/emqttd"\]$/m)
  })

  it("what it copies is let through to it", () => {
    const allowed = read(".dockerignore").split("\n").filter((line) => line.startsWith("!")).map((line) =>
      line.slice(1)
    )
    const copied = [...dockerfile.matchAll(/^COPY (?:--\S+ )?(.*) \S+$/gm)].flatMap(([, sources = ""]) =>
      sources.split(" ")
    )
    assert.isAbove(copied.length, 1)
    for (const source of copied) {
      const file = source.replace("${BINARY}", "dist/emqttd")
      assert.isTrue(allowed.some((prefix) => file.startsWith(prefix)), file)
    }
  })
})

describe("FreeBSD's rc script", () => {
  it("is sh", (context) => {
    const file = path.join(projectRoot, "packaging/freebsd/emqttd")
    assert.strictEqual(spawnSync("sh", ["-n", file]).status, 0)
    context.skip(spawnSync("shellcheck", ["--version"]).status !== 0, "shellcheck not found")
    // rc.subr reads the variables, and is not here.
    assert.strictEqual(spawnSync("shellcheck", ["-e", "SC1091,SC2034", file], { encoding: "utf8" }).stdout, "")
  })
})

describe("the workflows", () => {
  it.each(["check", "release"])("%s.yml is YAML, and runs what the repository has", (name) => {
    const text = read(`.github/workflows/${name}.yml`)
    const workflow = Yaml.parse(text) as { jobs: { [job: string]: { steps: ReadonlyArray<{ run?: string }> } } }
    const makefile = read("Makefile")
    const commands = Object.values(workflow.jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []))
    assert.include(commands, ".ci/run")
    for (const [, target] of commands.join("\n").matchAll(/^make (\S+)/gm)) {
      assert.match(makefile, new RegExp(`^${target}:`, "m"))
    }
    for (const [, file = ""] of text.matchAll(/(packaging\/\w+)/g)) {
      assert.isTrue(fs.existsSync(path.join(projectRoot, file)), file)
    }
  })
})
