// The original's clients.config: client ids that may come in, one a line, each with the address or network that it has to come from, if any:
// `sensor1`, `sensor2 10.0.0.0/8`. Pure. Invariant: a client id that stands there with addresses comes from one of them or not at all.
import { AddressRange } from "../rules/AddressRange.ts"
import { type FileFault, type LineParser, linesOfFile } from "./parsePasswordFile.ts"

export interface ParsedClientIds {
  /** An empty list: from anywhere. */
  readonly clients: ReadonlyMap<string, ReadonlyArray<AddressRange>>
  readonly faults: ReadonlyArray<FileFault>
}

export const clientIdsParser = (): LineParser<ParsedClientIds> => {
  const clients = new Map<string, Array<AddressRange>>()
  const faults: Array<FileFault> = []
  const open = new Set<string>()
  const take = (content: string, line: number): void => {
    const [clientId = "", address, ...more] = content.trim().split(/\s+/)
    if (clientId === "" || clientId.startsWith("#") || clientId.startsWith("%")) return
    const range = address === undefined ? undefined : AddressRange.parse(address)
    if (more.length > 0) return void faults.push({ line, message: "expected a client id and at most one address" })
    if (address !== undefined && range === undefined) {
      return void faults.push({ line, message: `${address}: no IP address, nor a network as in 10.0.0.0/8` })
    }
    // Once without an address, from anywhere.
    if (range === undefined) open.add(clientId)
    const ranges = clients.get(clientId) ?? []
    if (range !== undefined) ranges.push(range)
    if (open.has(clientId)) ranges.length = 0
    clients.set(clientId, ranges)
  }
  return { take, parsed: { clients, faults } }
}

export const parseClientIds = (text: string): ParsedClientIds => {
  const { parsed, take } = clientIdsParser()
  for (const [index, content] of linesOfFile(text).entries()) take(content, index + 1)
  return parsed
}
