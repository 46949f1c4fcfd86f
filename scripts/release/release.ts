// `make release`: everything that a release consists of, into dist/release. Arguments narrow the targets down: linux-x64 macos-arm64.
// Invariant: a file that is not what its name says ends the run; nothing is published from here.
import * as fs from "node:fs"
import * as path from "node:path"
import packageJson from "../../package.json" with { type: "json" }
import { archiveName, sourceDate, writeArchive } from "./archive.ts"
import { bundledPackages } from "./bundled.ts"
import { checksumsOf } from "./checksums.ts"
import { compile, root } from "./compile.ts"
import { executableKind } from "./executableKind.ts"
import { formulaOf } from "./formula.ts"
import { licencesOf } from "./licences.ts"
import { writePackages } from "./packages.ts"
import { papers, writePapers } from "./papers.ts"
import { bunVersion, runtimeOf } from "./runtimes.ts"
import { sbomOf } from "./sbom.ts"
import { executableName, type Target, targets } from "./targets.ts"

const { version } = packageJson
const folder = path.join(root, "dist/release")
const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

const headOf = (file: string): Buffer => {
  const head = Buffer.alloc(4096)
  const descriptor = fs.openSync(file, "r")
  fs.readSync(descriptor, head, 0, head.length, 0)
  fs.closeSync(descriptor)
  return head
}

/** The compiled file, once its first bytes have been looked at. */
export const build = (target: Target): string => {
  const outfile = path.join(root, "dist/targets", target.name, executableName(target))
  compile({ outfile, target: target.bun, executable: runtimeOf(target) })
  const kind = executableKind(headOf(outfile))
  if (JSON.stringify(kind) !== JSON.stringify(target.kind)) {
    throw new Error(`${target.name}: made ${JSON.stringify(kind)} instead of ${JSON.stringify(target.kind)}`)
  }
  return outfile
}

/** A .deb and an .rpm for those whose C library is glibc. */
const linuxPackages = async (target: Target): Promise<void> => {
  if (target.name !== "linux-x64" && target.name !== "linux-arm64") return
  const executable = path.join(root, "dist/targets", target.name, executableName(target))
  for (const file of await writePackages(executable, target.kind.architecture, folder)) {
    console.log(path.basename(file))
  }
}

const release = async (chosen: ReadonlyArray<Target>): Promise<void> => {
  fs.rmSync(folder, { recursive: true, force: true })
  fs.mkdirSync(folder, { recursive: true })
  const packages = bundledPackages()
  const accompanying = await papers()
  writePapers(accompanying)
  for (const target of chosen) {
    writeArchive(target, version, { executable: build(target), papers: accompanying }, folder)
    console.log(`${archiveName(target, version)}: ${target.kind.format} ${target.kind.architecture}`)
  }
  const sbom = sbomOf({
    name: packageJson.name,
    version,
    license: packageJson.license,
    bunVersion,
    dependencies: Object.keys(packageJson.dependencies),
    at: new Date(sourceDate() * 1000).toISOString()
  }, packages)
  fs.writeFileSync(path.join(folder, `emqttd-${version}.cdx.json`), JSON.stringify(sbom, null, 2) + "\n")
  fs.writeFileSync(path.join(folder, "THIRD-PARTY-LICENSES"), licencesOf(bunVersion, packages))
  const formula = formulaOf(version, checksumsOf(folder))
  if (formula !== undefined) fs.writeFileSync(path.join(folder, "emqttd.rb"), formula)
  for (const target of chosen) await linuxPackages(target)
  fs.copyFileSync(path.join(root, "scripts/install.sh"), path.join(folder, "install.sh"))
  fs.writeFileSync(path.join(folder, "SHA256SUMS"), checksumsOf(folder))
  console.log(read("dist/release/SHA256SUMS").trimEnd())
}

if (import.meta.main) {
  const names = process.argv.slice(2)
  const unknown = names.filter((name) => !targets.some((target) => target.name === name))
  if (unknown.length > 0) {
    console.error(`no such target: ${unknown.join(", ")}; there are ${targets.map(({ name }) => name).join(", ")}`)
    process.exit(2)
  }
  await release(names.length === 0 ? targets : targets.filter(({ name }) => names.includes(name)))
}
