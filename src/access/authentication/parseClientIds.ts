// The original's clients.config: client ids that may come in, one a line, each with the address or network that it has to come from, if any:
// `sensor1`, `sensor2 10.0.0.0/8`. Pure. Invariant: a client id that stands there with addresses comes from one of them or not at all.
import { AddressRange } from "../rules/AddressRange.ts"
import type { FileFault } from "./parsePasswordFile.ts"

export interface ParsedClientIds {
  /** An empty list: from anywhere. */
  readonly clients: ReadonlyMap<string, ReadonlyArray<AddressRange>>
  readonly faults: ReadonlyArray<FileFault>
}

export const parseClientIds = (text: string): ParsedClientIds => {
  const clients = new Map<string, Array<AddressRange>>()
  const faults: Array<FileFault> = []
  const open = new Set<string>()
  for (const [index, given] of text.replace(/^\uFEFF/, "").split("\n").entries()) {
    const line = index + 1
    const [clientId = "", address, ...more] = given.trim().split(/\s+/)
    if (clientId === "" || clientId.startsWith("#") || clientId.startsWith("%")) continue
    const range = address === undefined ? undefined : AddressRange.parse(address)
    if (more.length > 0) faults.push({ line, message: "expected a client id and at most one address" })
    else if (address !== undefined && range === undefined) {
      faults.push({ line, message: `${address}: no IP address, nor a network as in 10.0.0.0/8` })
    } else {
      if (range === undefined) open.add(clientId)
      clients.set(clientId, [...clients.get(clientId) ?? [], ...range === undefined ? [] : [range]])
    }
  }
  for (const clientId of open) clients.set(clientId, [])
  return { clients, faults }
}
