// The environment as settings: EMQTTD_LISTENERS__TCP__PORT=1884 is listeners.tcp.port. Read by loadSettings alone.
// Invariant: a name without `__` (EMQTTD_CONFIG) is no setting.
import { type Assignment, assignmentSource, type SettingsSource } from "./SettingsSource.ts"

export type Environment = { readonly [name: string]: string | undefined }

const PREFIX = "EMQTTD_"

/**
 * Names in their order; `__` parts the levels, which are lower-cased. An empty level (`EMQTTD__X`) is left to be an
 * unknown key.
 */
export const environmentSource = (environment: Environment): SettingsSource =>
  assignmentSource(
    Object.entries(environment).flatMap(([name, value]): ReadonlyArray<Assignment> =>
      value !== undefined && name.startsWith(PREFIX) && name.includes("__", PREFIX.length - 1)
        ? [{ path: name.slice(PREFIX.length).toLowerCase().split("__"), value, origin: name }]
        : []
    )
  )

/** The configuration file that the environment names, if any. */
export const environmentFile = (environment: Environment): string | undefined =>
  environment["EMQTTD_CONFIG"] === "" ? undefined : environment["EMQTTD_CONFIG"]

/** The process's environment is read. */
export const processEnvironment = (): Environment => process.env

/** https://no-color.org: set to anything but nothing. */
export const noColour = (): boolean => (process.env["NO_COLOR"] ?? "") !== ""

/** What systemd passes to a service of Type=notify (sd_notify(3), sd_watchdog_enabled(3)). */
export interface ServiceEnvironment {
  readonly notifySocket: string | undefined
  /** Killed when it has not been heard of for this long. */
  readonly watchdogMillis: number | undefined
}

/** Of a worker: the service manager hears of the node from its parent. */
export const workerEnvironment = (environment: Environment = process.env): Environment => ({
  ...environment,
  NOTIFY_SOCKET: "",
  WATCHDOG_USEC: ""
})

/** A watchdog that names another process is not for us. */
export const serviceEnvironment = (
  environment: Environment = process.env,
  pid: number = process.pid
): ServiceEnvironment => {
  const micros = Number(environment["WATCHDOG_USEC"] ?? NaN)
  const isOurs = environment["WATCHDOG_PID"] === undefined || environment["WATCHDOG_PID"] === String(pid)
  return {
    notifySocket: environment["NOTIFY_SOCKET"] === "" ? undefined : environment["NOTIFY_SOCKET"],
    watchdogMillis: isOurs && micros > 0 && Number.isFinite(micros) ? micros / 1000 : undefined
  }
}
