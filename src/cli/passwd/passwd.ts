// `emqttd passwd`: changes one user of a password file. Invariants: the file is always whole, the old one or the new one, and can be read by
// its owner alone; what else stands in it stays as it is; the password is shown to nobody and kept nowhere.
import { Console, Effect, FileSystem, Result } from "effect"
import { userNameFault, userOnLine } from "../../access/authentication/parsePasswordFile.ts"
import {
  type Algorithm,
  formatPasswordHash,
  maxIterations,
  parsePasswordHash
} from "../../access/authentication/passwords/PasswordHash.ts"
import { hasArgon2id, hashPassword } from "../../access/authentication/passwords/verifyPassword.ts"
import { ExitCode, exitWith } from "../Exit.ts"
import { askPassword } from "./askPassword.ts"
import { replaceFile } from "./replaceFile.ts"

export interface PasswdAsked {
  readonly remove: boolean
  readonly batch: boolean
  readonly superuser: boolean
  readonly algorithm: Algorithm
  readonly iterations: number
  readonly file: string
  readonly user: string
  readonly password: string | undefined
}

const minIterations = 1_000

const usageFault = ({ algorithm, batch, iterations, password, remove, superuser, user }: PasswdAsked) => {
  const named = userNameFault(user)
  if (named !== undefined) return named
  if (remove && (batch || superuser)) return "-D takes a file and a user, and nothing else"
  if (batch !== (password !== undefined)) {
    return batch ? "-b needs a password after the user" : "a password in the command line needs -b"
  }
  if (iterations < minIterations || iterations > maxIterations) return "--iterations: from 1,000 to 10,000,000"
  if (algorithm === "argon2id" && !hasArgon2id) return "argon2id is not known to this runtime"
  return undefined
}

const said = (message: string) => `emqttd: ${message}`

/** Lines of a file, without the end that the last one has. */
const linesOf = (text: string): Array<string> => {
  const lines = text.split("\n")
  if (lines.at(-1) === "") lines.pop()
  return lines
}

const readLines = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const read = yield* Effect.result(fs.readFileString(file))
  if (Result.isSuccess(read)) return linesOf(read.success)
  const { reason } = read.failure
  if (reason._tag === "NotFound") return undefined
  const why = reason._tag === "PermissionDenied" ? "permission denied" : "cannot be read"
  return yield* exitWith(ExitCode.InputOutput, [said(`${file}: ${why}`)])
})

/** Also what another tool wrote stays, but a line that is no user's would be lost to nobody's knowledge. */
const faultIn = (file: string, lines: ReadonlyArray<string>): string | undefined => {
  for (const [index, line] of lines.entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue
    const name = userOnLine(line)
    const [hash = ""] = line.slice((name?.length ?? 0) + 1).replace(/\r$/, "").split(":")
    if (name === undefined || parsePasswordHash(hash.trim()) === undefined) {
      return `${file}:${index + 1}: not a line of a password file`
    }
  }
  return undefined
}

export const passwd = Effect.fnUntraced(function* (asked: PasswdAsked) {
  const { algorithm, file, iterations, remove, superuser, user } = asked
  const bad = usageFault(asked)
  if (bad !== undefined) return yield* exitWith(ExitCode.Usage, [said(bad)])
  const before = yield* readLines(file)
  const fault = faultIn(file, before ?? [])
  if (fault !== undefined) return yield* exitWith(ExitCode.Configuration, [said(fault)])
  const lines = before ?? []
  const at = lines.findIndex((line) => userOnLine(line) === user)
  if (remove) {
    if (at === -1) return yield* exitWith(ExitCode.Refused, [said(`${file}: no user ${JSON.stringify(user)}`)])
    yield* write(file, lines.filter((line) => userOnLine(line) !== user))
    return yield* Console.log(`${user} is out of ${file}`)
  }
  const password = asked.password ?? (yield* askPassword(user).pipe(
    Effect.catch(({ message }) => exitWith(ExitCode.Usage, [said(message)]))
  ))
  if (password === "") return yield* exitWith(ExitCode.Usage, [said("an empty password")])
  const hash = yield* hashPassword(algorithm, new TextEncoder().encode(password), iterations).pipe(
    Effect.catch(({ message }) => exitWith(ExitCode.Crash, [said(message)]))
  )
  const line = `${user}:${formatPasswordHash(hash)}${superuser ? ":superuser" : ""}`
  yield* write(file, at === -1 ? [...lines, line] : lines.map((other, index) => index === at ? line : other))
  yield* Console.log(
    at === -1
      ? `${user} is new in ${file}${before === undefined ? ", which is new" : ""}`
      : `${user} has a new password in ${file}`
  )
})

const write = (file: string, lines: ReadonlyArray<string>) =>
  replaceFile(file, lines.map((line) => `${line}\n`).join("")).pipe(
    Effect.catch(({ message }) => exitWith(ExitCode.InputOutput, [said(message)]))
  )
