// `[overload]`: the marks above which new clients are refused, so that those who are in keep their service.
import type { Fields } from "../table.ts"
import { choice, duration, integer } from "../settingCodecs.ts"

export interface OverloadSettings {
  /** Connections of all listeners together, 0 to 10,000,000; 0: only the listeners' own limits hold. Above: 0x97 (3.x: 3). */
  readonly maxConnections: number
  /** Connections whose CONNECT is not answered yet, 1 to 1,000,000. Above: 0x97 (3.x: 3). */
  readonly maxHandshakes: number
  /** Of those, from one address (IPv6: one /64), 0 to 1,000,000; 0 is no limit. Above: 0x97 (3.x: 3). */
  readonly maxHandshakesPerAddress: number
  /** How late the event loop may be, smoothed over some 400 ms: 10 ms to 1 min; 0 is off. Above: 0x89 (3.x: 3). */
  readonly maxEventLoopLagMillis: number
  /** What MQTT 5 clients get instead of 0x97 and 0x89 where connection.server_reference names another node. */
  readonly redirect: "use_another_server" | "server_moved" | "none"
}

export const overloadDefaults: OverloadSettings = {
  maxConnections: 0,
  maxHandshakes: 10_000,
  maxHandshakesPerAddress: 5_000,
  maxEventLoopLagMillis: 1_000,
  redirect: "use_another_server"
}

export const overload: Fields<OverloadSettings> = {
  maxConnections: ["max_connections", integer(0, 10_000_000)],
  maxHandshakes: ["max_handshakes", integer(1, 1_000_000)],
  maxHandshakesPerAddress: ["max_handshakes_per_address", integer(0, 1_000_000)],
  maxEventLoopLagMillis: ["max_event_loop_lag", duration({ minimum: "10ms", maximum: "1m", zero: true })],
  redirect: ["redirect", choice(["use_another_server", "server_moved", "none"])]
}
