// The link "users": the users that the node keeps itself. Invariants: a name that is not there costs what a wrong password costs; the answer
// to both is the same for the client.
import { Effect } from "effect"
import type { AuthUsersSettings } from "../../config/Settings.ts"
import { ReasonCode } from "../../mqtt/ReasonCode.ts"
import type { UserDatabase } from "../users/UserDatabase.ts"
import { iterations } from "../users/makeUser.ts"
import { type Allow, type Answer, type AuthLink, type Deny, ignore, type LinkFailure } from "./AuthLink.ts"
import { type PasswordChecks, tooBusy } from "./passwords/PasswordChecks.ts"
import { templateFor } from "./passwords/PasswordHash.ts"

const wrongPassword: Deny = {
  _tag: "Deny",
  reasonCode: ReasonCode.BadUserNameOrPassword,
  reason: "wrong password"
}

const allowed: Allow = { _tag: "Allow", superuser: false }
const allowedAll: Allow = { _tag: "Allow", superuser: true }

export const usersLink = (
  { key }: AuthUsersSettings,
  users: Pick<UserDatabase, "find">,
  passwords: PasswordChecks
): AuthLink => {
  const decoy = { ...templateFor("pbkdf2-sha256", iterations), hash: new Uint8Array(32) }
  return {
    name: "users",
    // Who changes users has the chain forget what it remembers.
    cacheable: true,
    check: ({ clientId, password, userName }): Answer | Effect.Effect<Answer, LinkFailure> => {
      const name = key === "client_id" ? clientId : userName
      if (name === undefined) return ignore
      const user = users.find(name)
      if (password === undefined) return user === undefined ? ignore : wrongPassword
      return Effect.map(passwords.check(user?.passwordHash ?? decoy, password), (right): Answer => {
        if (right === "busy") return tooBusy
        if (user === undefined) return ignore
        // Changed or removed while it was checked: that counts.
        if (users.find(name) !== user) return wrongPassword
        return right ? (user.superuser ? allowedAll : allowed) : wrongPassword
      })
    },
    stillAllows: ({ clientId, superuser, userName }) => {
      const user = users.find((key === "client_id" ? clientId : userName) ?? "")
      return user !== undefined && (user.superuser || !superuser)
    }
  }
}
