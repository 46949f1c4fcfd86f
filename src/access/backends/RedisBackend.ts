// Users and rules in Redis, by the original's three commands: auth_cmd gives the password (and the salt), super_cmd a 1, acl_cmd a hash of
// topics. Invariant: a command is a list of arguments from the settings; a client's names are never more than part of one.
import { Effect } from "effect"
import { type Backend, type BackendFailure, backendFailure, type UserRow } from "./Backend.ts"
import { argumentsOf, type CommandTemplate } from "./commandTemplate.ts"
import type { Names } from "./placeholders.ts"
import type { RedisSession } from "./redisSession.ts"
import { type AclRow, rowsOfHash } from "./rowRules.ts"
import type { SessionPool } from "./SessionPool.ts"

/** One that is not there asks nothing. */
export type RedisCommands = { readonly [Setting in "auth_cmd" | "super_cmd" | "acl_cmd"]?: CommandTemplate }

export class RedisBackend implements Backend {
  readonly name: string
  readonly judgesPassword = false
  private readonly pool: SessionPool<RedisSession>
  private readonly commands: RedisCommands
  private readonly maxRules: number

  constructor(name: string, pool: SessionPool<RedisSession>, commands: RedisCommands, maxRules: number) {
    this.name = name
    this.pool = pool
    this.commands = commands
    this.maxRules = maxRules
  }

  findUser(names: Names): Effect.Effect<UserRow | undefined, BackendFailure> {
    return Effect.flatMap(this.ask("auth_cmd", names), (reply) => {
      const [password, salt] = Array.isArray(reply) ? reply : [reply]
      if (password === null || password === undefined) return Effect.succeed(undefined)
      if (typeof password !== "string" || (typeof salt !== "string" && salt !== null && salt !== undefined)) {
        return Effect.fail(this.unexpected("auth_cmd", "a password, and a salt where it gives one"))
      }
      return Effect.succeed({ password, salt: salt ?? null, userName: undefined })
    })
  }

  isSuperuser(names: Names): Effect.Effect<boolean, BackendFailure> {
    return Effect.map(this.ask("super_cmd", names), (reply) => {
      const value: unknown = Array.isArray(reply) ? reply[0] : reply
      return value === "1" || value === 1 || value === "true"
    })
  }

  findRules(names: Names): Effect.Effect<ReadonlyArray<AclRow>, BackendFailure> {
    return Effect.flatMap(this.ask("acl_cmd", names), (reply) => {
      if (reply === null) return Effect.succeed([])
      if (!Array.isArray(reply) || reply.length % 2 !== 0) {
        return Effect.fail(this.unexpected("acl_cmd", "a hash of topics, as HGETALL does"))
      }
      if (reply.length / 2 > this.maxRules) {
        return Effect.fail(
          backendFailure("refused", `${this.name}: acl_cmd gives more than max_rules = ${this.maxRules} topics`)
        )
      }
      const texts: ReadonlyArray<string> = reply.map(String)
      return Effect.succeed(
        rowsOfHash(texts.flatMap((topic, index) => index % 2 === 0 ? [[topic, texts[index + 1] ?? ""] as const] : []))
      )
    })
  }

  private unexpected(setting: string, what: string): BackendFailure {
    return backendFailure("refused", `${this.name}: ${setting} does not give ${what}`)
  }

  /** Null where there is nothing to ask for. */
  private ask(setting: keyof RedisCommands, names: Names): Effect.Effect<unknown, BackendFailure> {
    const template = this.commands[setting]
    const words = template === undefined ? undefined : argumentsOf(template, names)
    if (words === undefined) return Effect.succeed(null)
    return Effect.mapError(
      this.pool.use((session) => session.command(words)),
      (failure) =>
        failure.kind === "refused"
          ? backendFailure("refused", failure.message.replace(/^[^:]*: /, (name) => `${name}${setting}: `))
          : failure
    )
  }
}
