// What both SQL databases have to do, against a real server: the original's queries, names that attack, a server that is away, slow, wrong.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { passwordText } from "../../../src/access/backends/placeholders.ts"
import type { Backend } from "../../../src/access/backends/Backend.ts"
import type { MakeBackend } from "../../../src/access/backends/makeBackend.ts"
import { rulesOfRows } from "../../../src/access/backends/rowRules.ts"
import type { AuthSqlSettings } from "../../../src/config/Settings.ts"
import { attacks, type Host, host, made, names } from "./backendLog.ts"

export interface SqlServer {
  readonly query: (sql: string) => string
  readonly kill: () => void | Promise<void>
  readonly resume: () => void | Promise<void>
  readonly stop: () => void | Promise<void>
}

export type Asking = Partial<AuthSqlSettings> & {
  /** Of the connection: a user whose password is wrong. */
  readonly wrongPassword?: boolean
}

export interface SqlContract<S extends SqlServer> {
  readonly name: string
  readonly missing: string | undefined
  readonly start: () => S | Promise<S>
  readonly schema: ReadonlyArray<string>
  readonly make: (server: S, asking: Asking, host: Host) => MakeBackend
  /** A query that takes ten seconds. */
  readonly slowQuery: string
  readonly noSuchTable: RegExp
  readonly badCredentials: RegExp
}

export const sqlContract = <S extends SqlServer>(contract: SqlContract<S>): void => {
  let server: S | undefined
  beforeAll(async () => {
    if (contract.missing !== undefined) return
    server = await contract.start()
    for (const sql of contract.schema) server.query(sql)
  })
  afterAll(() => server?.stop())

  const test = (
    title: string,
    run: (
      make: (asking?: Asking) => Effect.Effect<Backend, never, Scope.Scope>,
      server: S,
      host: Host
    ) => Effect.Effect<void, unknown, Scope.Scope>
  ) =>
    it.live(title, (context) => {
      context.skip(contract.missing !== undefined, contract.missing)
      if (server === undefined) return Effect.void
      const started = server
      const its = host()
      return Effect.scoped(run((asking = {}) => made(contract.make(started, asking, its)), started, its))
    })
  const promised = (work: () => void | Promise<void>) => Effect.promise(async () => work())

  describe(contract.name, () => {
    test("finds a user, its salt and its own spelling; knows a superuser; nobody else", (make) =>
      Effect.gen(function* () {
        const backend = yield* make()
        assert.deepStrictEqual(yield* backend.findUser(names), { password: "secret", salt: "pepper", userName: "bob" })
        assert.isUndefined(yield* backend.findUser({ ...names, userName: "nobody" }))
        assert.isUndefined(yield* backend.findUser({ ...names, userName: undefined }))
        assert.strictEqual((yield* backend.findUser({ ...names, userName: "zoë 🎉" }))?.password, "ünï")
        assert.strictEqual((yield* backend.findUser({ ...names, userName: "unset" }))?.password, null)
        assert.isFalse(yield* backend.isSuperuser(names))
        assert.isTrue(yield* backend.isSuperuser({ ...names, userName: "root" }))
        assert.isFalse(yield* backend.isSuperuser({ ...names, userName: "nobody" }))
      }))

    test("the rules of one client, in the order of the query", (make) =>
      Effect.gen(function* () {
        const rules = rulesOfRows(contract.name, yield* (yield* make()).findRules(names))
        assert.isObject(rules)
        assert.deepStrictEqual(
          typeof rules === "string" ? [] : rules.rules.map(({ action, effect, topics, who }) => [
            effect,
            who._tag,
            action,
            topics?.[0]?.filter
          ]),
          [["deny", "All", "subscribe", "#"], ["allow", "User", "pubsub", "own/%u"], [
            "allow",
            "Address",
            "subscribe",
            "x/#"
          ]]
        )
        const others = yield* (yield* make()).findRules({ ...names, userName: "eve", address: "10.9.9.9" })
        assert.strictEqual(others.length, 1)
      }))

    test("names that attack find nobody, and the tables stay", (make, server) =>
      Effect.gen(function* () {
        const backend = yield* make()
        const withPassword = yield* make({
          authQuery: "select 'x' as password from mqtt_user where username = '%u' and password = '%P'"
        })
        assert.deepStrictEqual([backend.judgesPassword, withPassword.judgesPassword], [false, true])
        for (const userName of attacks) {
          assert.isUndefined(yield* backend.findUser({ ...names, userName, clientId: userName }), userName)
          assert.isFalse(yield* backend.isSuperuser({ ...names, userName }), userName)
          const rows = yield* backend.findRules({ ...names, userName, clientId: userName, address: userName })
          assert.strictEqual(rows.length, 1, userName)
          const password = passwordText(Buffer.from(userName))
          assert.isUndefined(yield* withPassword.findUser({ ...names, password }), userName)
        }
        assert.isDefined(yield* withPassword.findUser({ ...names, password: "secret" }))
        assert.strictEqual(server.query("select count(*) from mqtt_user"), "4")
        // An attacker whose name is in the table is that user, and nobody else.
        server.query("insert into mqtt_user (username, password) values ('o''; --', 'mine')")
        assert.strictEqual((yield* backend.findUser({ ...names, userName: "o'; --" }))?.password, "mine")
        server.query("delete from mqtt_user where password = 'mine'")
      }))

    test("a wrong schema, too many rows: one line that says so", (make) =>
      Effect.gen(function* () {
        const failure = (asking: Asking) =>
          Effect.flip(Effect.flatMap(make(asking), (backend) => backend.findUser(names)))
        const noTable = yield* failure({ authQuery: "select password from no_such_table where a = '%u'" })
        assert.match(noTable.message, contract.noSuchTable)
        assert.strictEqual(noTable.kind, "refused")
        const noPassword = yield* make({ authQuery: "select salt from mqtt_user where username = '%u'" })
        assert.deepStrictEqual(yield* noPassword.findUser(names), {
          password: undefined,
          salt: "pepper",
          userName: undefined
        })
        assert.match(
          (yield* Effect.flip((yield* make({ maxRules: 2 })).findRules(names))).message,
          /: acl_query gives more than max_rules = 2 rows$/
        )
      }))

    test("wrong credentials of the connection: one line, without the password", (make) =>
      Effect.gen(function* () {
        const failure = yield* Effect.flip((yield* make({ wrongPassword: true })).findUser(names))
        assert.strictEqual(failure.kind, "away")
        assert.match(failure.message, contract.badCredentials)
        assert.notInclude(failure.message, "hunter2")
        assert.notInclude(failure.message, "\n")
      }))

    test("a slow query is given up in time", (make) =>
      Effect.gen(function* () {
        const backend = yield* make({ authQuery: contract.slowQuery, timeoutMillis: 200 })
        const failure = yield* Effect.flip(backend.findUser(names))
        assert.match(failure.message, /: no answer in 200 ms$/)
      }))

    test(
      "a server that goes away is away, and taken up again when it is back",
      (make, server, { lines }) =>
        Effect.gen(function* () {
          const backend = yield* make()
          yield* backend.findUser(names)
          yield* promised(() => server.kill())
          const failure = yield* Effect.flip(backend.findUser(names))
          assert.strictEqual(failure.kind, "away")
          assert.notInclude(failure.message, "\n")
          yield* promised(() => server.resume())
          assert.strictEqual((yield* backend.findUser(names))?.password, "secret")
          // Killed and back while nobody asked: nobody is told.
          yield* promised(() => server.kill())
          yield* promised(() => server.resume())
          assert.strictEqual((yield* backend.findUser(names))?.password, "secret")
          assert.deepStrictEqual(lines, [])
        })
    )
  })
}
