// The .deb and the .rpm of the compiled broker: what is in them, an installation in a root of its own, and the unit's command line.
import { afterAll, assert, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import {
  operatorsPlaces,
  packagedSettings,
  packageTree,
  rulesPlace,
  settingsPlace
} from "../../scripts/release/packageTree.ts"
import { packageVersion, writeDeb, writeRpm } from "../../scripts/release/packages.ts"
import { papers } from "../../scripts/release/papers.ts"
import { brokerBinary, projectRoot } from "../support/brokerCommand.ts"

const has = (program: string): boolean => spawnSync(program, ["--version"]).status === 0
const unit = fs.readFileSync(path.join(projectRoot, "packaging/emqttd.service"), "utf8")

const run = (command: string, ...args: ReadonlyArray<string>) => {
  const { status, stderr, stdout } = spawnSync(command, args, { encoding: "utf8" })
  assert.strictEqual(status, 0, `${command} ${args.join(" ")}\n${stdout}${stderr}`)
  return stdout
}

let folder = ""
beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-packages-"))
})
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

const tree = async () => packageTree(brokerBinary ?? "", await papers())

describe("the .deb", () => {
  let deb = ""
  let root = ""
  beforeAll(async () => {
    if (brokerBinary === undefined || !has("dpkg-deb")) return
    deb = writeDeb(await tree(), "1.2.3-rc.1", "x64", folder, 1)
    root = path.join(folder, "root")
    fs.mkdirSync(path.join(root, "var/lib/dpkg"), { recursive: true })
    for (const file of ["status", "available"]) fs.writeFileSync(path.join(root, "var/lib/dpkg", file), "")
  }, 120_000)
  beforeEach((context) => {
    context.skip(brokerBinary === undefined, "EMQTTD_BINARY is not set: make test-binary")
    context.skip(!has("dpkg-deb"), "dpkg-deb not found")
  })

  // Maintainer scripts see DPKG_ROOT and leave this machine's users and services alone.
  const dpkg = (...args: ReadonlyArray<string>) =>
    run("dpkg", `--root=${root}`, "--force-script-chrootless,not-root,depends,bad-path", "--log=/dev/null", ...args)
  const settingsFile = () => path.join(root, settingsPlace)

  it("names itself, and keeps the operator's file as one", () => {
    assert.match(path.basename(deb), /^emqttd_1\.2\.3~rc\.1_amd64\.deb$/)
    assert.strictEqual(run("dpkg-deb", "-f", deb, "Package", "Version"), "Package: emqttd\nVersion: 1.2.3~rc.1\n")
    assert.strictEqual(run("dpkg-deb", "-I", deb, "conffiles"), "/etc/emqttd/acl.config\n/etc/emqttd/emqttd.toml\n")
    for (const line of run("dpkg-deb", "-c", deb).trimEnd().split("\n")) {
      assert.match(line, /^(?:drwxr-xr-x|-rwxr-xr-x|-rw-r--r--) root\/root /)
    }
  })

  it("installs, and the unit's command line starts it and serves; what the operator wrote outlives removal, not purge", async () => {
    dpkg("-i", deb)
    assert.include(fs.readFileSync(path.join(root, rulesPlace), "utf8"), "{allow, all}.")
    assert.match(fs.readFileSync(settingsFile(), "utf8"), /^data_dir = "\/var\/lib\/emqttd"$/m)
    const [program = "", ...args] = /^ExecStart=(.*)$/m.exec(unit)?.[1]?.split(" ") ?? []
    assert.deepStrictEqual([program, args], ["/usr/bin/emqttd", ["--config", settingsPlace]])
    const child = spawn(path.join(root, program), ["--config", settingsFile()], {
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        EMQTTD_NODE__DATA_DIR: path.join(folder, "data"),
        EMQTTD_LISTENERS__TCP__PORT: "0",
        EMQTTD_LISTENERS__TCP__ADDRESS: "127.0.0.1",
        EMQTTD_LISTENERS__WS__PORT: "0",
        EMQTTD_LISTENERS__WS__ADDRESS: "127.0.0.1"
      }
    })
    const closed = new Promise((resolve) => child.once("close", resolve))
    let text = ""
    await new Promise<void>((resolve) => {
      child.once("close", () => resolve())
      child.stderr.on("data", (chunk: Buffer) => {
        text += chunk.toString()
        if (text.includes("is ready")) resolve()
      })
    })
    child.kill("SIGTERM")
    assert.strictEqual(await closed, 0, text)
    assert.include(text, `settings: ${settingsFile()}`)
    assert.include(text, "is ready")

    fs.appendFileSync(settingsFile(), "# mine\n")
    dpkg("-r", "emqttd")
    assert.isFalse(fs.existsSync(path.join(root, "usr/bin/emqttd")))
    assert.match(fs.readFileSync(settingsFile(), "utf8"), /# mine\n$/)
    fs.mkdirSync(path.join(root, "var/lib/emqttd"), { recursive: true })
    dpkg("-P", "emqttd")
    assert.isFalse(fs.existsSync(settingsFile()))
    assert.isFalse(fs.existsSync(path.join(root, "var/lib/emqttd")))
  })
})

describe("the .rpm", () => {
  it("has the same files, the operator's one as such, and an executable that runs", async (context) => {
    context.skip(brokerBinary === undefined, "EMQTTD_BINARY is not set: make test-binary")
    context.skip(!has("rpmbuild"), "rpmbuild not found")
    const files = await tree()
    const rpm = writeRpm(files, "1.2.3-rc.1", "x64", folder, 1)
    assert.match(path.basename(rpm), /^emqttd-1\.2\.3~rc\.1-1\.x86_64\.rpm$/)
    assert.strictEqual(run("rpm", "-qp", "--qf", "%{NAME} %{VERSION} %{ARCH}", rpm), "emqttd 1.2.3~rc.1 x86_64")
    assert.strictEqual(run("rpm", "-qpc", rpm), operatorsPlaces.map((place) => `${place}\n`).join(""))
    assert.deepStrictEqual(
      run("rpm", "-qpl", rpm).trimEnd().split("\n").toSorted(),
      files.map(({ place }) => place).toSorted()
    )
    context.skip(
      spawnSync("sh", ["-c", "command -v rpm2cpio && command -v cpio"]).status !== 0,
      "rpm2cpio or cpio not found"
    )
    const unpacked = path.join(folder, "rpm")
    fs.mkdirSync(unpacked)
    run("sh", "-c", `cd '${unpacked}' && rpm2cpio '${rpm}' | cpio -idm --quiet`)
    assert.match(run(path.join(unpacked, "usr/bin/emqttd"), "--version"), /^emqttd \d/)
  }, 120_000)
})

describe("the unit", () => {
  it("is what systemd-analyze verifies", (context) => {
    context.skip(!has("systemd-analyze"), "systemd-analyze not found")
    // It looks for the program of ExecStart; here any that is there will do.
    const file = path.join(folder, "emqttd.service")
    fs.writeFileSync(file, unit.replace("/usr/bin/emqttd", "/bin/sh").replaceAll(/^(?:User|Group)=.*\n/gm, ""))
    const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", file], { encoding: "utf8" })
    assert.strictEqual(status, 0, stderr)
    assert.strictEqual(stderr.split("\n").filter((line) => line.includes("emqttd.service")).join("\n"), "")
  })

  it("tells systemd of start and life, is hardened, and lets the runtime compile", () => {
    for (
      const line of [
        "Type=notify",
        "NotifyAccess=main",
        "WatchdogSec=30",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "LimitNOFILE=1048576",
        "StateDirectory=emqttd",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "CapabilityBoundingSet="
      ]
    ) assert.include(unit.split("\n"), line)
    assert.notMatch(unit, /^MemoryDenyWriteExecute/m)
  })

  it("the packaged settings differ in the data directory alone", () => {
    const manual = fs.readFileSync(path.join(projectRoot, "etc/emqttd.toml"), "utf8").split("\n")
    const packaged = packagedSettings(manual.join("\n")).split("\n")
    assert.deepStrictEqual(packaged.filter((line, index) => line !== manual[index]), ['data_dir = "/var/lib/emqttd"'])
    assert.strictEqual(packageVersion("1.0.0-rc.1"), "1.0.0~rc.1")
  })

  it("maintainer scripts are clean to shellcheck", (context) => {
    context.skip(!has("shellcheck"), "shellcheck not found")
    const scripts = fs.readdirSync(path.join(projectRoot, "packaging/debian")).map((name) =>
      path.join(projectRoot, "packaging/debian", name)
    )
    assert.strictEqual(spawnSync("shellcheck", scripts, { encoding: "utf8" }).stdout, "")
  })
})
