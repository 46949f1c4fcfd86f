// What carries MQTT for one listener: TCP, TLS and what WebSocket makes of either. A listener sees the one contract of platform/Tcp.ts.
// Invariant: each type of the settings has its transport here, or says why not.
import { Data, Effect } from "effect"
import type { ListenerSettings } from "../config/Settings.ts"
import { tcp } from "../platform/runtimeTcp.ts"
import type { Tcp } from "../platform/Tcp.ts"
import type { Services } from "../session/Services.ts"
import { overWebSocket } from "./webSocketTransport.ts"

/** One line for the operator, and the code that the process ends with when it happens at the start: 69 an address, 78 a setting. */
export class ListenerFailed extends Data.TaggedError("ListenerFailed")<{
  readonly listener: string
  readonly detail: string
  readonly exitCode: number
}> {
  override get message() {
    return `listener ${this.listener}: ${this.detail}`
  }
}

export interface Transport {
  readonly tcp: Tcp
  /** Reads certificates again; those in force stay when the new ones are not good. True: they have changed. */
  readonly reload: Effect.Effect<boolean, ListenerFailed>
}

export const transportOf = (
  settings: ListenerSettings,
  services: Services
): Effect.Effect<Transport, ListenerFailed> => {
  switch (settings.type) {
    case "tcp":
      return Effect.succeed({ tcp, reload: Effect.succeed(false) })
    case "ws":
      return Effect.succeed({ tcp: overWebSocket(tcp, settings, services), reload: Effect.succeed(false) })
    case "tls":
    case "wss":
      return Effect.fail(
        new ListenerFailed({ listener: settings.name, detail: `type ${settings.type} is not there yet`, exitCode: 78 })
      )
    default:
      return settings.type satisfies never
  }
}
