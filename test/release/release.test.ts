// What a release says of itself: the kind of each executable, the bill of materials, the licences.
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import packageJson from "../../package.json" with { type: "json" }
import { bundledPackages } from "../../scripts/release/bundled.ts"
import { executableKind } from "../../scripts/release/executableKind.ts"
import { licencesOf } from "../../scripts/release/licences.ts"
import { sbomOf } from "../../scripts/release/sbom.ts"
import { executableName, targets } from "../../scripts/release/targets.ts"
import { brokerBinary, projectRoot } from "../support/brokerCommand.ts"

const packages = bundledPackages()

describe("the kind of an executable", () => {
  const headOf = (file: string) => fs.readFileSync(file).subarray(0, 4096)

  it("is told by its first bytes", () => {
    const head = (...parts: ReadonlyArray<readonly [number, ReadonlyArray<number>]>) => {
      const bytes = Buffer.alloc(128)
      for (const [at, values] of parts) bytes.set(values, at)
      return bytes
    }
    const elf = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]
    const cases: ReadonlyArray<readonly [Buffer, object | undefined]> = [
      [head([0, elf], [18, [0x3e]]), { format: "ELF", architecture: "x64", system: "linux" }],
      [head([0, [...elf, 9]], [18, [0xb7]]), { format: "ELF", architecture: "arm64", system: "freebsd" }],
      [head([0, elf], [18, [0x08]]), undefined], // MIPS
      [head([0, [0xcf, 0xfa, 0xed, 0xfe, 0x0c, 0, 0, 1]]), { format: "Mach-O", architecture: "arm64" }],
      [head([0, [0xcf, 0xfa, 0xed, 0xfe, 0x07, 0, 0, 1]]), { format: "Mach-O", architecture: "x64" }],
      [head([0, [0x4d, 0x5a]], [0x3c, [64]], [64, [0x50, 0x45, 0, 0, 0x64, 0x86]]), {
        format: "PE",
        architecture: "x64"
      }],
      [head([0, [0x4d, 0x5a]], [0x3c, [250]]), undefined], // its header is out of sight
      [head([0, [0x23, 0x21]]), undefined],
      [Buffer.alloc(3), undefined]
    ]
    for (const [bytes, kind] of cases) assert.deepStrictEqual(executableKind(bytes), kind)
  })

  it("the compiled broker is what its target says", (context) => {
    context.skip(brokerBinary === undefined, "EMQTTD_BINARY is not set: make test-binary")
    const name = `${process.platform === "darwin" ? "macos" : process.platform}-${process.arch}`
    const target = targets.find((target) => target.name === name)
    assert.deepStrictEqual(executableKind(headOf(brokerBinary ?? "")), target?.kind)
  })

  it("those of make release that are there are what their targets say", (context) => {
    const made = targets.map((target) => ({ target, folder: path.join(projectRoot, "dist/targets", target.name) }))
      .filter(({ folder, target }) => fs.existsSync(path.join(folder, executableName(target))))
    context.skip(made.length === 0, "no cross builds here: make release")
    for (const { folder, target } of made) {
      const file = path.join(folder, executableName(target))
      assert.deepStrictEqual(executableKind(headOf(file)), target.kind, target.name)
    }
  })
})

describe("what is inside", () => {
  const names = packages.map(({ name }) => name)

  it("are the dependencies and theirs, and no development tools", () => {
    for (const name of Object.keys(packageJson.dependencies)) assert.include(names, name)
    for (const name of Object.keys(packageJson.devDependencies)) assert.notInclude(names, name)
    assert.deepStrictEqual(names.filter((name) => name.startsWith("@types/")), [])
  })

  it("each has an SPDX licence and its text", () => {
    assert.deepStrictEqual(packages.filter(({ license }) => !/^[\w.+-]+(?: (?:AND|OR) [\w.+-]+)*$/.test(license)), [])
    assert.deepStrictEqual(packages.filter(({ licenseText }) => licenseText === undefined).map(({ name }) => name), [])
    const text = licencesOf("1.2.3", packages)
    assert.include(text, "bun 1.2.3 (MIT)")
    for (const { name, version } of packages) assert.include(text, `\n${name} ${version} (`)
  })

  it("the bill of materials is CycloneDX 1.5 and hangs together", () => {
    const sbom = JSON.parse(JSON.stringify(sbomOf({
      name: "emqttd",
      version: "1.0.0",
      license: "MIT",
      bunVersion: "1.2.3",
      dependencies: Object.keys(packageJson.dependencies),
      at: "2026-01-01T00:00:00.000Z"
    }, packages)))
    assert.deepStrictEqual([sbom.bomFormat, sbom.specVersion, sbom.version], ["CycloneDX", "1.5", 1])
    const references: ReadonlyArray<string> = [
      sbom.metadata.component["bom-ref"],
      ...sbom.components.map((component: { "bom-ref": string }) => component["bom-ref"])
    ]
    assert.strictEqual(new Set(references).size, packages.length + 2)
    const dependencies: ReadonlyArray<{ ref: string; dependsOn: ReadonlyArray<string> }> = sbom.dependencies
    assert.deepStrictEqual(dependencies.map(({ ref }) => ref), references)
    for (const { dependsOn } of dependencies) for (const reference of dependsOn) assert.include(references, reference)
    assert.include(dependencies[0]?.dependsOn ?? [], `pkg:npm/effect@${packageJson.dependencies.effect}`)
    assert.include(references, `pkg:npm/%40effect/platform-node@${packageJson.dependencies["@effect/platform-node"]}`)
    for (const { hashes, type } of sbom.components) {
      if (type === "library") assert.match(hashes[0].content, /^[0-9a-f]{128}$/)
    }
  })
})
