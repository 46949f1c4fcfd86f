// What no single setting of a listener shows: two on one address, a zone that is not there, TLS without a certificate. Pure; used by
// decodeSettings alone.
import type { ListenerSettings, Settings } from "./Settings.ts"
import type { Path } from "./SettingsSource.ts"
import { unixPathOf } from "./sections/listener.ts"

/** The first path is the one to blame; the others have a part in it. */
export interface FaultAcross {
  readonly paths: ReadonlyArray<Path>
  readonly message: string
}

const isName = (name: string): boolean => /^[a-z0-9][a-z0-9_-]{0,63}$/.test(name) && !name.includes("__")
const nameRule = "has 1 to 64 lower-case letters, digits, - and single _, and begins with no _ or -"

const faultsOfOne = (listener: ListenerSettings, settings: Settings): ReadonlyArray<FaultAcross> => {
  const found: Array<FaultAcross> = []
  const table = ["listeners", listener.name]
  const fault = (key: string, message: string) => found.push({ paths: [[...table, key], table], message })
  if (listener.zone !== "" && !settings.zones.some(({ name }) => name === listener.zone)) {
    fault("zone", `there is no table [zones.${listener.zone}]`)
  }
  if (listener.type === "tls" || listener.type === "wss") {
    if (listener.certificate === "") fault("certificate", `missing: a listener of type ${listener.type} needs one`)
    if (listener.key === "") fault("key", `missing: a listener of type ${listener.type} needs one`)
    if (listener.tlsVersions.length === 0) fault("tls_versions", "expected at least one version")
    if (listener.clientCertificate !== "off" && listener.ca === "") {
      fault("ca", `missing: client_certificate = "${listener.clientCertificate}" needs authorities to judge by`)
    }
  }
  if (listener.certificateAs !== "none" && listener.clientCertificate === "off") {
    fault("certificate_as", `needs client_certificate = "optional" or "required"`)
  }
  return found
}

export const listenerFaults = (settings: Settings): ReadonlyArray<FaultAcross> => {
  const found: Array<FaultAcross> = []
  const taken = new Map<string, string>()
  for (const { name } of settings.zones) {
    if (!isName(name)) found.push({ paths: [["zones", name]], message: `a zone's name ${nameRule}` })
  }
  for (const listener of settings.listeners) {
    const { address, enabled, name, port } = listener
    if (!isName(name)) found.push({ paths: [["listeners", name]], message: `a listener's name ${nameRule}` })
    if (!enabled) continue
    found.push(...faultsOfOne(listener, settings))
    const isUnix = unixPathOf(address) !== undefined
    if (port === 0 && !isUnix) continue
    const place = isUnix ? address : `${address}:${port}`
    const other = taken.get(place)
    if (other === undefined) {
      taken.set(place, name)
      continue
    }
    found.push({
      paths: [["listeners", name, "port"], ["listeners", name], ["listeners", other, "port"]],
      message:
        `${place} is taken by listeners.${other}; give one of them another port, or set listeners.${other}.enabled = false`
    })
  }
  return found
}
