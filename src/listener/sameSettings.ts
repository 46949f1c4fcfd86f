// Which settings of a listener hang together: a change of some needs a new socket to listen on, of others none. Pure.
import type { ListenerSettings } from "../config/Settings.ts"

/** Looked at for each new client. */
const looseKeys: ReadonlySet<string> = new Set<keyof ListenerSettings>([
  "name",
  "enabled",
  "maxConnections",
  "maxConnectionRate",
  "connectTimeoutMillis",
  "allow",
  "deny",
  "mountpoint",
  "zone",
  "certificateAs"
])

const tied = (settings: ListenerSettings): string =>
  JSON.stringify(Object.entries(settings).filter(([key]) => !looseKeys.has(key)).toSorted())

/** The socket that is listened on can stay. */
export const sameAddress = (a: ListenerSettings, b: ListenerSettings): boolean => tied(a) === tied(b)

export const sameDoor = (a: ListenerSettings | undefined, b: ListenerSettings | undefined): boolean =>
  JSON.stringify(a) === JSON.stringify(b)
