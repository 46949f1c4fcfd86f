// The .deb and the .rpm of one executable. As a program: of dist/emqttd, into dist/packages.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import packageJson from "../../package.json" with { type: "json" }
import { sourceDate } from "./archive.ts"
import { root } from "./compile.ts"
import { operatorsPlaces, type PackagedFile, packageTree, writeTree } from "./packageTree.ts"
import { papers } from "./papers.ts"

export type Architecture = "x64" | "arm64"

const debianNames = { x64: "amd64", arm64: "arm64" } as const
const rpmNames = { x64: "x86_64", arm64: "aarch64" } as const

const summary = "MQTT broker, versions 3.1, 3.1.1 and 5"
const homepage = "https://github.com/emqttd/emqttd"
const description = "An MQTT broker on a tree of supervised actors, as one executable with a systemd service."

const run = (command: string, args: ReadonlyArray<string>): void => {
  const environment = { ...process.env, SOURCE_DATE_EPOCH: String(sourceDate()) }
  const { error, status, stderr, stdout } = spawnSync(command, args, { encoding: "utf8", env: environment })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${command}: status ${status}\n${stdout}${stderr}`)
}

const withFolder = <A>(use: (folder: string) => A): A => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-package-"))
  fs.chmodSync(folder, 0o755)
  try {
    return use(folder)
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

/** Versions in packages: a tilde sorts before nothing, so 1.0.0~rc.1 comes before 1.0.0. */
export const packageVersion = (version: string): string => version.replace("-", "~")

export const writeDeb = (
  tree: ReadonlyArray<PackagedFile>,
  version: string,
  architecture: Architecture,
  folder: string,
  level = 6
): string =>
  withFolder((staging) => {
    writeTree(tree, staging)
    const control = path.join(staging, "DEBIAN")
    fs.mkdirSync(control, { mode: 0o755 })
    const size = tree.reduce((sum, { content }) => sum + Math.ceil(content.length / 1024), 0)
    const fields = [
      "Package: emqttd",
      `Version: ${packageVersion(version)}`,
      `Architecture: ${debianNames[architecture]}`,
      "Maintainer: The emqttd authors <https://github.com/emqttd/emqttd>",
      "Depends: libc6 (>= 2.17), adduser, init-system-helpers",
      "Section: net",
      "Priority: optional",
      `Homepage: ${homepage}`,
      `Installed-Size: ${size}`,
      `Description: ${summary}`,
      ` ${description}`
    ]
    fs.writeFileSync(path.join(control, "control"), fields.join("\n") + "\n")
    fs.writeFileSync(path.join(control, "conffiles"), operatorsPlaces.map((place) => `${place}\n`).join(""))
    for (const script of ["postinst", "prerm", "postrm"]) {
      fs.copyFileSync(path.join(root, "packaging/debian", script), path.join(control, script))
      fs.chmodSync(path.join(control, script), 0o755)
    }
    const file = path.join(folder, `emqttd_${packageVersion(version)}_${debianNames[architecture]}.deb`)
    run("dpkg-deb", ["--root-owner-group", "-Zgzip", `-z${level}`, "--build", staging, file])
    return file
  })

/** Nothing is compiled, stripped or looked at for dependencies: the executable must stay as it is. */
export const writeRpm = (
  tree: ReadonlyArray<PackagedFile>,
  version: string,
  architecture: Architecture,
  folder: string,
  level = 6
): string =>
  withFolder((staging) => {
    const source = path.join(staging, "tree")
    writeTree(tree, source)
    const files = tree.map(({ mode, place }) =>
      `%attr(${mode.toString(8).padStart(4, "0")}, root, root) ${
        operatorsPlaces.includes(place) ? "%config(noreplace) " : ""
      }${place}`
    )
    const spec = fs.readFileSync(path.join(root, "packaging/rpm/emqttd.spec"), "utf8")
      .replace("@VERSION@", packageVersion(version))
      .replace("@SUMMARY@", summary)
      .replace("@DESCRIPTION@", description)
      .replace("@HOMEPAGE@", homepage)
      .replace("@TREE@", source)
      .replace("@FILES@", files.join("\n"))
    fs.writeFileSync(path.join(staging, "emqttd.spec"), spec)
    const name = rpmNames[architecture]
    const definitions = [
      ["_topdir", path.join(staging, "top")],
      ["_rpmdir", folder],
      ["_build_name_fmt", "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm"],
      ["_binary_payload", `w${level}.gzdio`]
    ]
    run("rpmbuild", [
      "-bb",
      "--quiet",
      `--target=${name}`,
      ...definitions.flatMap(([macro, value]) => ["--define", `${macro} ${value}`]),
      path.join(staging, "emqttd.spec")
    ])
    return path.join(folder, `emqttd-${packageVersion(version)}-1.${name}.rpm`)
  })

/** Both packages, or why one was left out. */
export const writePackages = async (
  executable: string,
  architecture: Architecture,
  folder: string
): Promise<ReadonlyArray<string>> => {
  const tree = packageTree(executable, await papers())
  const made: Array<string> = []
  fs.mkdirSync(folder, { recursive: true })
  for (const [program, write] of [["dpkg-deb", writeDeb], ["rpmbuild", writeRpm]] as const) {
    if (spawnSync(program, ["--version"]).status === 0) {
      made.push(write(tree, packageJson.version, architecture, folder))
    } else {
      console.error(`${program} not found: that package is left out`)
    }
  }
  return made
}

if (import.meta.main) {
  const architecture = process.arch === "arm64" ? "arm64" : "x64"
  for (
    const file of await writePackages(path.join(root, "dist/emqttd"), architecture, path.join(root, "dist/packages"))
  ) {
    console.log(path.relative(root, file))
  }
}
