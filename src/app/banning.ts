// Bans beyond their list: read from the store at the start, and what a new one means for who is connected. Invariant: nobody is sent away
// whom the ban does not concern.
import { Effect } from "effect"
import { type Ban, banValue, decodeBan } from "../access/bans/Ban.ts"
import { BanList } from "../access/bans/BanList.ts"
import { banRecords, type Bans } from "../access/bans/Bans.ts"
import type { AdminNode } from "../admin/AdminNode.ts"
import { Refused } from "../admin/faults.ts"
import type { Ban as ToldBan } from "../admin/Api.ts"
import type { Listeners } from "../listener/Listeners.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import { eachRecord } from "../store/eachRecord.ts"
import type { Engine, StoreFailure } from "../store/Engine.ts"
import type { Journal } from "../store/Journal.ts"
import { onDisk } from "./adminAccess.ts"

export const loadBans = Effect.fn("loadBans")(
  function* (engine: Engine, bans: Bans): Effect.fn.Return<void, StoreFailure> {
    const unreadable: Array<string> = []
    yield* eachRecord(engine, banRecords, ({ key, value }) => {
      const ban = decodeBan(value)
      if (ban === undefined) unreadable.push(key)
      else bans.restore(ban)
    })
    for (const key of unreadable) {
      yield* Effect.logWarning("a ban in the store cannot be read: it does not hold", { key })
    }
  }
)

/** What the administrator asks and does. */
export const adminBans = (
  bans: Bans,
  journal: Journal,
  now: () => number
): Pick<AdminNode, "bans" | "ban" | "unban"> => ({
  bans: (limit) => {
    const inForce = [...bans.list.values()].filter(({ until }) => now() < until)
    return { total: inForce.length, bans: inForce.slice(0, limit).map(told) }
  },
  ban: ({ kind, milliseconds, reason, value: given }) =>
    Effect.suspend(() => {
      const refused = (message: string) => Effect.fail(new Refused({ message }))
      const value = banValue(kind, given)
      if (value === undefined) return refused(`${JSON.stringify(given.slice(0, 100))} is no ${whatItIs[kind]}`)
      const since = now()
      const until = milliseconds === null ? Infinity : since + milliseconds
      if (until <= since) return refused("a ban has to last")
      const ban: Ban = { kind, value, reason: reason.slice(0, 1_000), by: "ctl", since, until }
      if (!bans.add(ban)) return refused("there are as many bans as bans.max_bans allows")
      return Effect.as(onDisk(journal, bans.changedIn), told(ban))
    }),
  unban: (kind, given) =>
    Effect.suspend(() => {
      const value = banValue(kind, given)
      if (value === undefined || !bans.remove(kind, value, "ctl")) return Effect.succeed(false)
      return Effect.as(onDisk(journal, bans.changedIn), true)
    })
})

const whatItIs = { client_id: "client id", user_name: "user name", address: "address or network" } as const

const told = (ban: Ban): ToldBan => ({ ...ban, until: ban.until === Infinity ? null : ban.until })

export const dropBanned = (doors: Pick<Listeners, "open">, ban: Ban): void => {
  const alone = new BanList()
  alone.put(ban)
  for (const { connections } of doors.open) {
    for (const connection of connections) {
      if (alone.find(connection.subject, -Infinity) === undefined) continue
      connection.post({ _tag: "Close", reasonCode: ReasonCode.AdministrativeAction, reason: "banned" })
    }
  }
}
