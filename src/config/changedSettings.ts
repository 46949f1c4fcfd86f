// What differs between the settings in force and those of a reload. Pure.
import { settingsTree } from "./renderSettings.ts"
import type { Settings } from "./Settings.ts"
import { isTree, type Tree } from "./SettingsSource.ts"

/** Tables that hold for the next client once they are read again; the rest needs a restart. */
const liveTables = [
  "listeners",
  "zones",
  "access",
  "authentication",
  "authorization",
  "limits",
  "bans",
  "connection",
  "session",
  "queue"
] as const

/** Read again by the cluster itself. */
const liveKeys: ReadonlySet<string> = new Set(
  ["secret", "secret_file", "certificate", "key", "ca"].map((key) => `cluster.${key}`)
)

/** Of those tables, what is asked for the node as a whole. */
const fixedKeys: ReadonlySet<string> = new Set(["session.max_sessions"])

const leaves = (tree: Tree, path = ""): ReadonlyArray<readonly [key: string, value: string]> =>
  Object.entries(tree).flatMap(([key, value]) => {
    const here = path === "" ? key : `${path}.${key}`
    return isTree(value) ? leaves(value, here) : [[here, JSON.stringify(value)] as const]
  })

/** The tables of the links of the authentication chain are live, all of them: it is made anew. */
const isLive = (key: string): boolean =>
  liveKeys.has(key) || key.startsWith("auth_") || liveTables.some((table) => key.startsWith(`${table}.`))
const linkTables = (next: Settings) => Object.entries(next).filter(([table]) => table.startsWith("auth_"))

/** Keys of the file, as in "router.topic_cache", that are changed and whose new value is not taken before a restart. */
export const changedForRestart = (inForce: Settings, next: Settings): ReadonlyArray<string> => {
  const before = new Map(leaves(settingsTree(inForce)))
  return leaves(settingsTree(next))
    .filter(([key, value]) => before.get(key) !== value)
    .map(([key]) => key)
    .filter((key) => fixedKeys.has(key) || !isLive(key))
}

/** The settings in force with the tables of `next` that can be taken while it runs. */
export const withLiveTables = (inForce: Settings, next: Settings): Settings => ({
  ...inForce,
  ...Object.fromEntries([...liveTables.map((table) => [table, next[table]] as const), ...linkTables(next)]),
  session: { ...next.session, maxSessions: inForce.session.maxSessions }
})
