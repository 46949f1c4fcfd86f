import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { Toml } from "effect/encoding"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import packageJson from "../../package.json" with { type: "json" }
import { defaultSettings } from "../../src/config/Settings.ts"
import { run } from "./EmqttdProcess.ts"

let directory = ""
beforeAll(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-cli-"))
})
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

const write = (name: string, text: string): string => {
  fs.writeFileSync(path.join(directory, name), text)
  return name
}

describe("emqttd --help", () => {
  it.each(["--help", "-h"])("%s shows flags, subcommands and examples, exit 0", async (flag) => {
    const { code, stderr, stdout } = await run([flag])
    assert.strictEqual(code, 0)
    assert.strictEqual(stderr, "")
    for (
      const part of [
        "emqttd [subcommand] [flags]",
        "--config, -c FILE",
        "--port, -p N",
        "--host",
        "--data",
        "--set KEY=VALUE",
        "check",
        "config",
        "EXAMPLES",
        "emqttd --config /etc/emqttd/emqttd.toml"
      ]
    ) {
      assert.include(stdout, part)
    }
  })

  it("every subcommand has its own", async () => {
    const [check, dump] = await Promise.all([run(["check", "--help"]), run(["config", "dump", "-h"])])
    assert.deepStrictEqual([check.code, dump.code], [0, 0])
    assert.include(check.stdout, "emqttd check --config")
    assert.include(dump.stdout, "--json")
  })

  it("--version and -v", async () => {
    const both = await Promise.all([run(["--version"]), run(["-v"])])
    assert.deepStrictEqual(
      both.map(({ code, stdout }) => [code, stdout]),
      both.map(() => [0, `emqttd ${packageJson.version}\n`])
    )
  })

  it("--completions", async () => {
    const { code, stdout } = await run(["--completions", "bash"])
    assert.strictEqual(code, 0)
    assert.include(stdout, "emqttd")
    assert.include(stdout, "--log-level")
  })
})

describe("bad usage: exit 2, a line that helps, nothing on stdout", () => {
  const cases: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
    [["--prot", "1"], /^emqttd: Unrecognized flag: --prot in command emqttd; did you mean --port\?$/m],
    [["chekc"], /^emqttd: Unknown subcommand "chekc" for "emqttd"; did you mean check\?$/m],
    [["-x"], /^emqttd: Unrecognized flag: -x in command emqttd; did you mean -c or -p\?$/m],
    [["--port"], /^emqttd: Missing value for flag --port/m],
    [
      ["--port", "65536"],
      /^emqttd: --port: listeners\.tcp\.port: expected a whole number from 0 to 65,535, got "65536"$/m
    ],
    [["--log-level", "loud"], /^emqttd: Invalid value for flag --log-level: "loud"/m],
    [["--set", "session"], /^emqttd: --set session: expected KEY=VALUE/m],
    [
      ["--set", "session.max_inflihgt=1"],
      /^emqttd: --set session\.max_inflihgt: .*did you mean session\.max_inflight\?$/m
    ],
    [["check", "--node-name", "here"], /^emqttd: --node-name: node\.name: expected a name like/m],
    [["check", "extra"], /^emqttd: .*extra/m]
  ]
  it.each(cases)("emqttd %j", async (args, line) => {
    const { code, stderr, stdout } = await run(args, { cwd: directory })
    assert.strictEqual(code, 2, stderr)
    assert.match(stderr, line)
    assert.match(stderr, /Try 'emqttd( check)? --help'\.\n$/)
    assert.strictEqual(stdout, "")
    assert.isAtMost(stderr.split("\n").length, 4)
  })
})

describe("a subcommand that is missing", () => {
  it.each([[["ctl", "clients"]], [["store"]]])("emqttd %j", async (args) => {
    const { code, stderr, stdout } = await run(args, { cwd: directory })
    assert.deepStrictEqual([code, stdout], [2, ""])
    assert.match(stderr, /^SUBCOMMANDS$/m)
    assert.isTrue(stderr.endsWith(`\nemqttd: ${args.join(" ")}: a subcommand is missing\n`), stderr)
  })
})

describe("emqttd check", () => {
  it("says ok, and of which file", async () => {
    const file = write("good.toml", "[session]\nmax_inflight = 5\n")
    const [none, good] = await Promise.all([
      run(["check"], { cwd: directory }),
      run(["check", "--config", file], { cwd: directory })
    ])
    assert.deepStrictEqual(none, { code: 0, stdout: "ok: no file, the defaults\n", stderr: "" })
    assert.deepStrictEqual(good, { code: 0, stdout: "ok: good.toml\n", stderr: "" })
  })

  it("looks at the tables of databases without asking any: their queries, what is needed", async () => {
    const file = write(
      "databases.toml",
      `[authentication]\nlinks = ["postgres", "mysql", "redis", "ldap"]\n[auth_postgres]\nurl = "postgres://h/d"\n` +
        `auth_query = "select '%u"\n[auth_redis]\nurl = "redis://h"\npassword_hash = "rot13"\n[auth_ldap]\nurl = "ldap://h"\n`
    )
    const { code, stderr } = await run(["check", "--config", file], { cwd: directory })
    assert.strictEqual(code, 78)
    assert.deepStrictEqual(stderr.trimEnd().split("\n").map((line) => line.replace(/ expected .*/, " …")), [
      "auth_postgres.auth_query: the quote ' is not closed",
      "auth_mysql.url: needed",
      "auth_redis.password_hash: …",
      "auth_ldap: dn or search_base is needed"
    ])
  })

  it("tells the faults of rules, password files and certificates together", async () => {
    write("acl.config", "{allow, all}.\n{allow, al}.\n")
    write("passwords", "nobody\n")
    const file = write(
      "several.toml",
      `[authentication]\nlinks = ["password_file"]\n[auth_password_file]\npath = "passwords"\n` +
        `[authorization]\nsources = [{ type = "acl_config", path = "acl.config" }]\n` +
        `[listeners.s]\ntype = "tls"\nport = 8884\ncertificate = "none.pem"\nkey = "none.pem"\n`
    )
    const { code, stderr, stdout } = await run(["check", "--config", file], { cwd: directory })
    assert.deepStrictEqual([code, stdout], [78, ""])
    const lines = stderr.trimEnd().split("\n")
    assert.lengthOf(lines, 3, stderr)
    assert.match(lines[0] ?? "", /acl\.config:2: /)
    assert.match(lines[1] ?? "", /passwords:1: expected user:hash$/)
    assert.match(lines[2] ?? "", /listener s: /)
  })

  it("tells every fault on a line of its own with its place, exit 78", async () => {
    const file = write("bad.toml", "[listeners.tcp]\nport = 70000\nprot = 1\n\n[log]\nlevel = 5\n")
    const { code, stderr, stdout } = await run(["check", "--config", file, "--port", "x"], {
      cwd: directory,
      environment: { EMQTTD_SESSION__MAX_INFLIGHT: "0", EMQTTD_CTL_URL: "no setting" }
    })
    assert.strictEqual(code, 78)
    assert.strictEqual(stdout, "")
    assert.deepStrictEqual(stderr.trimEnd().split("\n"), [
      "bad.toml:3: listeners.tcp.prot: unknown key; did you mean listeners.tcp.port?",
      `bad.toml:6: log.level: expected "trace", "debug", "info", "warning" or "error", got 5`,
      `--port: listeners.tcp.port: expected a whole number from 0 to 65,535, got "x"`,
      `EMQTTD_SESSION__MAX_INFLIGHT: session.max_inflight: expected a whole number from 1 to 65,535, got "0"`
    ])
  })

  it("files of the cluster that are not there, exit 78", async () => {
    const files = ["certificate", "key", "ca"].map((name) => `${name} = "no.${name}"`)
    const file = write(
      "cluster.toml",
      ["[cluster]", `listen = "127.0.0.1:4370"`, `secret_file = "no.secret"`, "tls = true", ...files].join("\n")
    )
    const { code, stderr } = await run(["check", "--config", file], { cwd: directory })
    assert.strictEqual(code, 78)
    assert.deepStrictEqual(stderr.trimEnd().split("\n"), [
      "emqttd: cluster.secret_file: no.secret: no such file",
      "emqttd: cluster.certificate: no.certificate: no such file",
      "emqttd: cluster.key: no.key: no such file",
      "emqttd: cluster.ca: no.ca: no such file"
    ])
  })

  it("certificates that a listener could not start with, exit 78", async () => {
    const lines = ["tls", "wss"].flatMap((name) => [`[listeners.${name}]`, `certificate = "no.pem"`, `key = "no.key"`])
    const file = write("tls.toml", lines.join("\n"))
    assert.deepStrictEqual(await run(["check", "--config", file], { cwd: directory }), {
      code: 78,
      stdout: "",
      stderr: ["tls", "wss"].map((name) => `emqttd: listener ${name}: certificate no.pem: no such file\n`).join("")
    })
    const off = ["--set", "listeners.tls.enabled=false", "--set", "listeners.wss.enabled=false"]
    assert.strictEqual((await run(["check", "--config", file, ...off], { cwd: directory })).code, 0)
  })

  it("a file that cannot be read or parsed, exit 78", async () => {
    const broken = write("broken.toml", "[listeners\n")
    const results = await Promise.all([
      run(["check", "--config", "none.toml"], { cwd: directory }),
      run(["check", "--config", "."], { cwd: directory }),
      run(["check", "-c", broken], { cwd: directory }),
      run(["check"], { cwd: directory, environment: { EMQTTD_CONFIG: "gone.yaml" } })
    ])
    assert.deepStrictEqual(results, [
      { code: 78, stdout: "", stderr: "none.toml: no such file\n" },
      { code: 78, stdout: "", stderr: ".: is a directory\n" },
      { code: 78, stdout: "", stderr: "broken.toml:1: syntax: expected ']' (column 11)\n" },
      { code: 78, stdout: "", stderr: "gone.yaml: no such file\n" }
    ])
  })
})

describe("emqttd config dump", () => {
  it("the order of the files, and what lies over them", async () => {
    const cwd = path.join(directory, "order")
    fs.mkdirSync(cwd)
    for (const [name, inflight] of [["emqttd.toml", 1], ["env.toml", 2]] as const) {
      fs.writeFileSync(path.join(cwd, name), `[session]\nmax_inflight = ${inflight}\nmax_sessions = 7\n`)
    }
    fs.writeFileSync(path.join(cwd, "flag.yaml"), "session: { max_inflight: 3 }")
    const environment = { EMQTTD_CONFIG: "env.toml" }
    const dump = async (args: ReadonlyArray<string>, environment: { readonly [name: string]: string } = {}) => {
      const { code, stderr, stdout } = await run(["config", "dump", "--json", ...args], { cwd, environment })
      assert.deepStrictEqual([code, stderr], [0, ""])
      const { session } = JSON.parse(stdout)
      return [session.max_inflight, session.max_sessions]
    }
    assert.deepStrictEqual(
      await Promise.all([
        dump([]),
        dump([], environment),
        dump(["--config", "flag.yaml"], environment),
        dump([], { ...environment, EMQTTD_SESSION__MAX_INFLIGHT: "4" }),
        dump(["--set", "session.max_inflight=5"], { ...environment, EMQTTD_SESSION__MAX_INFLIGHT: "4" })
      ]),
      [[1, 7], [2, 7], [3, 1_000_000], [4, 7], [5, 7]]
    )
  })

  it("prints TOML that gives the same settings again", async () => {
    const first = await run([
      "config",
      "dump",
      "--port",
      "1999",
      "--host",
      "::1",
      "--data",
      "x y",
      "--node-name",
      "a@b",
      "--log-level",
      "debug",
      "--log-format",
      "json"
    ], { cwd: directory })
    const file = write("dumped.toml", first.stdout)
    const second = await run(["config", "dump", "--config", file], { cwd: directory })
    assert.strictEqual(first.code, 0)
    assert.strictEqual(second.stdout, first.stdout)
    const tree = Result.getOrThrow(Toml.parse(first.stdout))
    assert.deepNestedInclude(JSON.parse(JSON.stringify(tree)), {
      "listeners.tcp.port": 1999,
      "listeners.tcp.address": "::1",
      "node.data_dir": "x y",
      "node.name": "a@b",
      "log.level": "debug",
      "log.format": "json",
      "session.max_inflight": defaultSettings.session.maxInflight
    })
  })
})
