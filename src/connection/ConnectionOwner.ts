// The listener, as its connections see it.
import type { LimitsSettings, ListenerSettings } from "../config/Settings.ts"

export interface ConnectionOwner<Connection> {
  readonly settings: ListenerSettings
  readonly limits: LimitsSettings
  /** Its CONNECT is accepted: it waits at the door no longer. */
  admitted(connection: Connection): void
  closed(connection: Connection): void
}
