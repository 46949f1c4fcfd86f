import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, FileSystem } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import {
  type Answer,
  type AuthLink,
  type Credentials,
  type LinkFailure
} from "../../../src/access/authentication/AuthLink.ts"
import { LinksInvalid, makeLinks } from "../../../src/access/authentication/makeLinks.ts"
import { clientIdsParser, parseClientIds } from "../../../src/access/authentication/parseClientIds.ts"
import { parsePasswordFile } from "../../../src/access/authentication/parsePasswordFile.ts"
import { readLinkFile } from "../../../src/access/authentication/readLinkFile.ts"
import { passwordFileLink } from "../../../src/access/authentication/passwordFileLink.ts"
import { clientIdFileLink } from "../../../src/access/authentication/clientIdFileLink.ts"
import { PasswordChecks } from "../../../src/access/authentication/passwords/PasswordChecks.ts"
import { defaultSettings, type Settings } from "../../../src/config/Settings.ts"
import { Counters } from "../../../src/metrics/Counters.ts"
import { EventLog } from "../../../src/metrics/EventLog.ts"
import { linkParts } from "../../support/linkParts.ts"

const who = (change: Partial<Credentials>): Credentials => ({
  clientId: "c",
  userName: undefined,
  password: undefined,
  address: "127.0.0.1",
  listener: "tcp",
  certificateName: undefined,
  certificateSubject: undefined,
  protocolVersion: 4,
  ...change
})
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const answerOf = (link: AuthLink, change: Partial<Credentials>): Effect.Effect<Answer, LinkFailure> => {
  const answer = link.check(who(change))
  return Effect.isEffect(answer) ? answer : Effect.succeed(answer)
}

const hashes = {
  pw1:
    "$7$101$GN3WqJbtEBl6CS0d$JAM8Pagg3xDGHxV/s6AQRPCXDaIwFOPpfvDaCaNLeZsqeMYBR0wWja1JBFKUSeSUr6xRNElEXOs47OR/PSo/lQ==",
  pw2: "$6$yLN5QWLwOmn7F8Qs$6TXEDD12vKI7Z3dY2erCbsS2GFNRofrHEKQuwXEeU701sYKtVtyaGUDTeGw9j2l6SdqgNEgvI+GwZATUKTxZnA=="
}

describe("the password file", () => {
  it("users, comments, empty lines, line ends of either kind, superusers", () => {
    const { faults, users } = parsePasswordFile(
      `\uFEFF# made by hand\r\n\r\nann:${hashes.pw1}\r\n  \nbob b:${hashes.pw2}:superuser\nö/+#'"; DROP:${hashes.pw1}`
    )
    assert.deepStrictEqual(faults, [])
    assert.deepStrictEqual(
      [...users].map(([name, { line, superuser }]) => [name, line, superuser]),
      [["ann", 3, false], ["bob b", 5, true], [`ö/+#'"; DROP`, 6, false]]
    )
  })

  it("every fault by its line, and nothing that stands behind a name", () => {
    const { faults } = parsePasswordFile(
      [
        "ann",
        "ann:sesame",
        `ann:${hashes.pw1}`,
        `ann:${hashes.pw2}`,
        `:${hashes.pw1}`,
        "x:$7$broken$hash",
        `y:${hashes.pw1}:admin`
      ]
        .join("\n")
    )
    assert.deepStrictEqual(faults, [
      { line: 1, message: "expected user:hash" },
      { line: 2, message: "no hash (passwords in the clear are not taken: emqttd passwd, or mosquitto_passwd -U)" },
      { line: 4, message: "this user is there already, on line 3" },
      { line: 5, message: "an empty user name" },
      { line: 6, message: "a hash of an unknown kind, damaged, or costlier than is taken" },
      { line: 7, message: `after the hash only ":superuser" may follow` }
    ])
    for (const { message } of faults) assert.notMatch(message, /sesame|broken|admin/)
  })

  const link = (counters = new Counters()) => {
    const { users } = parsePasswordFile(`ann:${hashes.pw1}\nbob:${hashes.pw2}:superuser\n`)
    return passwordFileLink(
      "password_file",
      users,
      new PasswordChecks({ hashesAtATime: 2, hashesWaiting: 2 }, counters)
    )
  }

  it.effect("right, wrong, no password, nobody", () =>
    Effect.gen(function* () {
      const rows: ReadonlyArray<readonly [Partial<Credentials>, string, boolean?]> = [
        [{ userName: "ann", password: bytes("pw1") }, "Allow", false],
        [{ userName: "bob", password: bytes("pw2") }, "Allow", true],
        [{ userName: "ann", password: bytes("pw2") }, "Deny"],
        [{ userName: "ann", password: bytes("") }, "Deny"],
        [{ userName: "ann" }, "Deny"],
        [{ userName: "Ann", password: bytes("pw1") }, "Ignore"],
        [{ userName: "__proto__", password: bytes("pw1") }, "Ignore"],
        [{ userName: "constructor" }, "Ignore"],
        [{ userName: "", password: bytes("pw1") }, "Ignore"],
        [{ password: bytes("pw1") }, "Ignore"],
        [{}, "Ignore"]
      ]
      for (const [change, expected, superuser] of rows) {
        const answer = yield* answerOf(link(), change)
        assert.strictEqual(answer._tag, expected, JSON.stringify(change))
        if (answer._tag === "Allow") assert.strictEqual(answer.superuser, superuser)
        if (answer._tag === "Deny") assert.strictEqual(answer.reasonCode, 0x86)
      }
    }))

  it.effect("a name that is not there costs what a wrong password costs", () =>
    Effect.gen(function* () {
      for (const userName of ["ann", "nobody"]) {
        const counters = new Counters()
        yield* answerOf(link(counters), { userName, password: bytes("guess") })
        assert.strictEqual(counters.password_checks_total, 1)
      }
    }))

  it.effect("without room to find out: server busy", () =>
    Effect.gen(function* () {
      const { users } = parsePasswordFile(`ann:${hashes.pw1}\n`)
      const checks = new PasswordChecks({ hashesAtATime: 1, hashesWaiting: 0 }, new Counters())
      const gate = yield* Deferred.make<void>()
      const other = yield* Effect.forkChild(checks.run(Deferred.await(gate)))
      yield* Effect.yieldNow
      const answer = yield* answerOf(passwordFileLink("f", users, checks), { userName: "ann", password: bytes("pw1") })
      assert.deepInclude(answer, { _tag: "Deny", reasonCode: 0x89 })
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(other)
    }))
})

describe("the original's clients.config", () => {
  const text = "testclientid0\ntestclientid1 127.0.0.1\ntestclientid2 192.168.0.1/24\n\n# a comment\n%% another\n" +
    "twice 10.0.0.1\ntwice 10.0.0.2\nboth 10.0.0.1\nboth\nsix\tfd00::/8\n"

  const rows: ReadonlyArray<readonly [clientId: string, address: string, expected: Answer["_tag"]]> = [
    ["testclientid0", "203.0.113.9", "Allow"],
    ["testclientid1", "127.0.0.1", "Allow"],
    ["testclientid1", "::ffff:127.0.0.1", "Allow"],
    ["testclientid1", "127.0.0.2", "Deny"],
    ["testclientid2", "192.168.0.77", "Allow"],
    ["testclientid2", "192.168.1.1", "Deny"],
    ["twice", "10.0.0.2", "Allow"],
    ["twice", "10.0.0.3", "Deny"],
    ["both", "10.9.9.9", "Allow"],
    ["six", "fd12::1", "Allow"],
    ["six", "10.0.0.1", "Deny"],
    ["testclientid", "127.0.0.1", "Ignore"],
    ["#", "127.0.0.1", "Ignore"],
    ["+", "127.0.0.1", "Ignore"],
    ["constructor", "127.0.0.1", "Ignore"]
  ]
  it.each(rows)("%s from %s: %s", (clientId, address, expected) => {
    const { clients, faults } = parseClientIds(text)
    assert.deepStrictEqual(faults, [])
    const answer = clientIdFileLink("f", clients, "ignore").check(who({ clientId, address }))
    assert.strictEqual("_tag" in answer ? answer._tag : "", expected)
    if (expected !== "Ignore") return
    const strict = clientIdFileLink("f", clients, "deny").check(who({ clientId, address }))
    assert.deepInclude(strict, { _tag: "Deny", reasonCode: 0x87 })
  })

  it("every fault by its line", () => {
    assert.deepStrictEqual(parseClientIds("a 10.0.0.0/33\nb here\nc 10.0.0.1 10.0.0.2\n").faults, [
      { line: 1, message: "10.0.0.0/33: no IP address, nor a network as in 10.0.0.0/8" },
      { line: 2, message: "here: no IP address, nor a network as in 10.0.0.0/8" },
      { line: 3, message: "expected a client id and at most one address" }
    ])
  })
})

describe("makeLinks", () => {
  let directory = ""
  beforeAll(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-links-"))
  })
  afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))

  const make = (
    settings: Settings,
    lines: Array<string> = []
  ): Effect.Effect<ReadonlyArray<AuthLink>, LinksInvalid> => {
    const log = new EventLog(
      (_, message, fields) => void lines.push(`${message} ${JSON.stringify(fields)}`),
      () => 0,
      1
    )
    return Effect.scoped(makeLinks(settings, linkParts({ log }))).pipe(
      Effect.provide(NodeFileSystem.layer)
    )
  }
  const settings = (clients: string, users: string): Settings => ({
    ...defaultSettings,
    authentication: { ...defaultSettings.authentication, links: ["password_file", "client_id_file"] },
    auth_client_id_file: { path: clients, unknown: "ignore" },
    auth_password_file: { path: users }
  })
  const write = (name: string, text: string): string => {
    fs.writeFileSync(path.join(directory, name), text, { mode: 0o600 })
    return path.join(directory, name)
  }

  it.effect("all faults of all files, by file and line", () =>
    Effect.gen(function* () {
      const clients = write("clients", "a b\n")
      const users = write("users", "ann:open sesame\n")
      const { faults } = yield* Effect.flip(make(settings(clients, users)))
      assert.deepStrictEqual(faults, [
        `${users}:1: no hash (passwords in the clear are not taken: emqttd passwd, or mosquitto_passwd -U)`,
        `${clients}:1: b: no IP address, nor a network as in 10.0.0.0/8`
      ])
      const none = yield* Effect.flip(make(settings("", "/nowhere")))
      assert.deepStrictEqual(none.faults, [
        "/nowhere: no such file (auth_password_file.path)",
        "auth_client_id_file.path: not set"
      ])
    }))

  it.effect("a file of passwords that everybody can read is told of", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const users = write("open", `ann:${hashes.pw1}\n`)
      const clients = write("clients2", "a\n")
      yield* make(settings(clients, users), lines)
      assert.deepStrictEqual(lines, [])
      const fileSystem = yield* FileSystem.FileSystem
      yield* fileSystem.chmod(users, 0o644)
      yield* make(settings(clients, users), lines)
      assert.strictEqual(lines.length, 1)
      assert.include(lines[0], "can be read by everybody")
    }).pipe(Effect.provide(NodeFileSystem.layer)))
})

describe("a long file", () => {
  it.effect("is read in parts: others have their turns meanwhile", () =>
    Effect.gen(function* () {
      const directory = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-long-"))
      const file = path.join(directory, "users")
      fs.writeFileSync(file, Array.from({ length: 20_000 }, (_, index) => `device-${index}`).join("\n"))
      let [atOnce, most] = [0, 0]
      const { parsed, take } = clientIdsParser()
      const counting = {
        parsed,
        take: (content: string, line: number) => {
          take(content, line)
          most = Math.max(most, ++atOnce)
        }
      }
      const turn = Effect.andThen(Effect.sync(() => (atOnce = 0)), Effect.yieldNow)
      const others = yield* Effect.forkChild(Effect.forever(turn))
      const { clients } = yield* readLinkFile("auth_client_id_file.path", file, counting)
      yield* Fiber.interrupt(others)
      fs.rmSync(directory, { recursive: true })
      assert.strictEqual(clients.size, 20_000)
      assert.isBelow(most, 10_000)
    }).pipe(Effect.provide(NodeFileSystem.layer)))
})
