// The settings of one zone: the node's own with what [zones.<name>] says instead. Pure.
import type { Settings } from "./Settings.ts"

/** The settings as they hold for clients of this zone; "" is none. */
export const zonedSettings = (settings: Settings, name: string): Settings => {
  const zone = settings.zones.find((one) => one.name === name)
  if (zone === undefined) return settings
  return {
    ...settings,
    limits: { ...settings.limits, ...zone.limits },
    connection: { ...settings.connection, ...zone.connection },
    session: { ...settings.session, ...zone.session },
    queue: { ...settings.queue, ...zone.queue }
  }
}
