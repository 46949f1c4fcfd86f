// The link "password_file": users and password hashes of a file. Invariants: a name that is not there costs what a wrong password costs; the
// answer to both is the same for the client.
import { Effect } from "effect"
import type { EventLog } from "../../metrics/EventLog.ts"
import { ReasonCode } from "../../mqtt/ReasonCode.ts"
import { type Allow, type Answer, type AuthLink, type Deny, ignore, type LinkFailure } from "./AuthLink.ts"
import { LinksInvalid } from "./MakeLink.ts"
import { type PasswordEntry, passwordFileParser } from "./parsePasswordFile.ts"
import { type PasswordChecks, tooBusy } from "./passwords/PasswordChecks.ts"
import { decoyOf, type PasswordHash } from "./passwords/PasswordHash.ts"
import { unsupported } from "./passwords/verifyPassword.ts"
import { isReadableByAll, readLinkFile } from "./readLinkFile.ts"

const wrongPassword: Deny = {
  _tag: "Deny",
  reasonCode: ReasonCode.BadUserNameOrPassword,
  reason: "wrong password"
}

/** As many as tell what is usual. */
const lookedAt = 1_000

/** The most usual cost of the file, for names that are not there. */
const usual = (users: ReadonlyMap<string, PasswordEntry>): PasswordHash => {
  const kinds = new Map<string, { count: number; readonly hash: PasswordHash }>()
  let seen = 0
  for (const { hash } of users.values()) {
    if (++seen > lookedAt) break
    const cost = Object.entries(hash).filter(([name]) => name !== "salt" && name !== "hash" && name !== "text")
    const key = hash._tag === "Bcrypt" ? hash.text.slice(0, 7) : JSON.stringify(cost)
    const kind = kinds.get(key)
    if (kind === undefined) kinds.set(key, { count: 1, hash })
    else kind.count++
  }
  const [first] = [...kinds.values()].toSorted((a, b) => b.count - a.count)
  return decoyOf(first?.hash ?? { _tag: "Sha512", salt: new Uint8Array(12), hash: new Uint8Array(64) })
}

export const passwordFileLink = (
  name: string,
  users: ReadonlyMap<string, PasswordEntry>,
  passwords: PasswordChecks
): AuthLink => {
  const decoy = usual(users)
  const allowed: Allow = { _tag: "Allow", superuser: false }
  const allowedAll: Allow = { _tag: "Allow", superuser: true }
  return {
    name,
    cacheable: true,
    check: ({ password, userName }): Answer | Effect.Effect<Answer, LinkFailure> => {
      if (userName === undefined) return ignore
      const entry = users.get(userName)
      if (password === undefined) return entry === undefined ? ignore : wrongPassword
      return Effect.map(passwords.check(entry?.hash ?? decoy, password), (right) => {
        if (right === "busy") return tooBusy
        if (entry === undefined) return ignore
        return right ? (entry.superuser ? allowedAll : allowed) : wrongPassword
      })
    },
    stillAllows: ({ superuser, userName }) => {
      const entry = userName === undefined ? undefined : users.get(userName)
      return entry !== undefined && (entry.superuser || !superuser)
    }
  }
}

export const makePasswordFileLink = Effect.fnUntraced(function* (
  path: string,
  passwords: PasswordChecks,
  log: EventLog
) {
  const { users } = yield* readLinkFile("auth_password_file.path", path, passwordFileParser())
  const faults = [...users.values()].flatMap(({ hash, line }) => {
    const fault = unsupported(hash)
    return fault === undefined ? [] : [`${path}:${line}: ${fault}`]
  })
  if (faults.length > 0) return yield* new LinksInvalid({ faults })
  if (yield* isReadableByAll(path)) log.warning("password file can be read by everybody: chmod o-r", { file: path })
  return passwordFileLink(`password_file ${path}`, users, passwords)
})
