// Members by DNS: the addresses of a name (A, AAAA), as a headless service of Kubernetes gives them, or the targets of an SRV name.
// Invariant: an answer replaces the one before as a whole; no answer changes nothing.
import { Effect } from "effect"
import { lookup, resolveSrv } from "node:dns/promises"
import { type NodeAddress, nodeAddressOf } from "../config/sections/cluster.ts"
import type { EventLog } from "../metrics/EventLog.ts"
import { keyOf } from "./links/Dialer.ts"

/** Of a name, no more. */
const mostAddresses = 1_000

const isService = (name: string): boolean => /^_[^.]+\._tcp\./.test(name)

const asked = async (name: string): Promise<ReadonlyArray<NodeAddress>> => {
  if (isService(name)) return (await resolveSrv(name)).map(({ name, port }) => ({ host: name, port }))
  const { host, port } = nodeAddressOf(name) ?? { host: name, port: 0 }
  return (await lookup(host, { all: true })).map(({ address }) => ({ host: address, port }))
}

export const discover = (name: string): Effect.Effect<ReadonlyArray<NodeAddress>, string> =>
  Effect.tryPromise({
    try: () => asked(name),
    catch: (error) => error instanceof Error ? error.message : String(error)
  }).pipe(Effect.map((found) => found.slice(0, mostAddresses)))

export interface Discovered {
  readonly added: ReadonlyArray<NodeAddress>
  readonly gone: ReadonlyArray<NodeAddress>
}

/** Asks again and again; tells what has changed. */
export const discovering = (
  name: string,
  intervalMillis: number,
  log: EventLog,
  changed: (found: Discovered) => void,
  ask: (name: string) => Effect.Effect<ReadonlyArray<NodeAddress>, string> = discover
): Effect.Effect<never> =>
  Effect.suspend(() => {
    let known = new Map<string, NodeAddress>()
    let lastFault = ""
    const once = Effect.matchEffect(Effect.suspend(() => ask(name)), {
      onFailure: (fault) =>
        Effect.sync(() => {
          if (fault !== lastFault) log.warning("cluster: discovery has no answer, asked on", { name, reason: fault })
          lastFault = fault
        }),
      onSuccess: (addresses) =>
        Effect.sync(() => {
          lastFault = ""
          const found = new Map(addresses.map((address) => [keyOf(address), address]))
          const added = [...found].filter(([key]) => !known.has(key)).map(([, address]) => address)
          const gone = [...known].filter(([key]) => !found.has(key)).map(([, address]) => address)
          known = found
          if (added.length > 0 || gone.length > 0) changed({ added, gone })
        })
    })
    return Effect.forever(Effect.andThen(once, Effect.sleep(intervalMillis)))
  })
