// `[zones.<name>]`: other limits for the clients of the listeners that name the zone. It has the keys of [limits], [connection], [session]
// and [queue] under tables of the same names. Invariant: what a zone leaves out is as in those tables.
import { connection, type ConnectionSettings } from "./connection.ts"
import { clientLimits, type LimitsSettings } from "./limits.ts"
import { queue, type QueueSettings } from "./queue.ts"
import { session, type SessionSettings } from "./session.ts"

export interface ZoneSettings {
  readonly name: string
  readonly limits: Partial<{ readonly [Name in keyof typeof clientLimits]: LimitsSettings[Name] }>
  readonly connection: Partial<ConnectionSettings>
  readonly session: Partial<Omit<SessionSettings, "maxSessions">>
  readonly queue: Partial<QueueSettings>
}

// How many sessions there are is a matter of the whole node.
const { maxSessions: _, ...sessionOfZone } = session

export const zoneTables = { limits: clientLimits, connection, session: sessionOfZone, queue } as const
