// What the management API may do with the users and the rules that the node keeps itself. Invariant: it has answered when the change is on disk.
import { Effect, Semaphore } from "effect"
import type { AdminRules, AdminUsers } from "../admin/AdminNode.ts"
import { Refused } from "../admin/faults.ts"
import type { InForce } from "../access/rules/Authorization.ts"
import type { RulesInvalid } from "../access/rules/loadRules.ts"
import { builtIn, type RuleDatabase } from "../access/rules/RuleDatabase.ts"
import type { LinkFailure } from "../access/authentication/AuthLink.ts"
import type { ScramSettings } from "../access/scram/Scram.ts"
import { makeUser, userFault } from "../access/users/makeUser.ts"
import type { UserDatabase } from "../access/users/UserDatabase.ts"
import type { EventLog } from "../metrics/EventLog.ts"
import { awaitGroup } from "../store/awaitGroup.ts"
import type { Journal } from "../store/Journal.ts"

/** The change holds all the same; who asked is told that a crash now would lose it. */
export const onDisk = (journal: Journal, group: number): Effect.Effect<void, Refused> =>
  Effect.mapError(
    awaitGroup(journal, group),
    ({ message }) => new Refused({ message: `it holds, but is not on disk yet: ${message}` })
  )

const failed = ({ message }: LinkFailure) => new Refused({ message })

/** `scram`: of the settings of now. */
export const adminUsers = (
  users: UserDatabase,
  scram: () => ScramSettings,
  journal: Journal,
  log: EventLog,
  /** Ends the connections of this user. */
  sendAway: (name: string) => number
): AdminUsers => {
  // What an administrator asks for takes its turn, as it takes CPU.
  const turn = Semaphore.makeUnsafe(1)
  const made = (name: string, password: string, superuser: boolean) =>
    turn.withPermits(1)(Effect.mapError(makeUser(name, password, superuser, scram()), failed))
  return {
    list: (after, limit) => ({
      total: users.size,
      users: users.page(after, limit).map(({ name, scram, superuser }) => ({
        name,
        superuser,
        scram: [...scram.keys()]
      }))
    }),
    add: ({ name, password, superuser = false }) =>
      Effect.gen(function* () {
        const fault = userFault(name, password)
        if (fault !== undefined) return yield* new Refused({ message: fault })
        const user = yield* made(name, password, superuser)
        if (users.find(name) !== undefined) return yield* new Refused({ message: `there is a user ${name} already` })
        if (users.isFull) return yield* new Refused({ message: "there are auth_users.max_users users already" })
        const { group } = users.put(user)
        log.info("user added", { user_name: name, superuser })
        yield* onDisk(journal, group)
      }),
    setPassword: (name, password, kick) =>
      Effect.gen(function* () {
        const fault = userFault(name, password)
        if (fault !== undefined) return yield* new Refused({ message: fault })
        if (users.find(name) === undefined) return false
        const fresh = yield* made(name, password, false)
        const before = users.find(name)
        if (before === undefined) return false
        const { group } = users.put({ ...fresh, superuser: before.superuser })
        log.info("user has a new password", { user_name: name, sent_away: kick ? sendAway(name) : undefined })
        yield* onDisk(journal, group)
        return true
      }),
    remove: (name, kick) =>
      Effect.gen(function* () {
        const removed = users.remove(name)
        // Also when another node of the cluster has removed it already: the clients are this one's.
        const sentAway = kick ? sendAway(name) : undefined
        if (removed === undefined) return false
        log.info("user removed", { user_name: name, sent_away: sentAway })
        yield* onDisk(journal, removed.group)
        return true
      })
  }
}

/** `reload`: of the files. */
export const adminRules = (
  rules: RuleDatabase,
  inForce: InForce,
  { journal, log }: { readonly journal: Journal; readonly log: EventLog },
  reload: Effect.Effect<void, RulesInvalid>
): AdminRules => ({
  reload: Effect.mapError(reload, ({ message }) => new Refused({ message })),
  list: () => rules.list.map(({ number, table }) => ({ number, rule: table })),
  add: ({ before, rule }) =>
    Effect.suspend(() => {
      const added = rules.add(rule, before)
      if (typeof added === "string") return Effect.fail(new Refused({ message: added }))
      log.info("access rule added", { rule: `${builtIn}:${added.number}` })
      return Effect.as(onDisk(journal, added.group), {
        number: added.number,
        asked: inForce.authorization.asks(builtIn)
      })
    }),
  remove: (number) =>
    Effect.suspend(() => {
      const removed = rules.remove(number)
      if (removed === undefined) return Effect.succeed(false)
      log.info("access rule removed", { rule: `${builtIn}:${number}` })
      return Effect.as(onDisk(journal, removed.group), true)
    })
})
