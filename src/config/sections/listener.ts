// `[listeners.<name>]`: one address on which clients are accepted.
import type { Fields } from "../table.ts"
import { choice, integer, text, truth } from "../settingCodecs.ts"

export interface ListenerSettings {
  /** The key in the file: `[listeners.<name>]`. Letters, digits, `_` and `-`. */
  readonly name: string
  readonly type: "tcp"
  /** An IP address or host name; `0.0.0.0` is every IPv4 interface, `::` every IPv6 (and IPv4) one. */
  readonly address: string
  /** 0 to 65535; 0 lets the system choose. In use or not permitted: exit 69. */
  readonly port: number
  /** 1 to 10,000,000. The next one is refused: CONNACK 0x97 Quota exceeded (3.x: 3). */
  readonly maxConnections: number
  /**
   * New connections a second, 0 to 1,000,000; 0 is no limit. Above it: CONNACK 0x9F Connection rate exceeded (3.x: 3).
   */
  readonly maxConnectionRate: number
  /** 1 to 65535; connections the kernel keeps until they are accepted (the system's own maximum applies too). */
  readonly backlog: number
  readonly enabled: boolean
}

export const defaultListener: ListenerSettings = {
  name: "tcp",
  type: "tcp",
  address: "0.0.0.0",
  port: 1883,
  maxConnections: 1_000_000,
  maxConnectionRate: 50_000,
  backlog: 4096,
  enabled: true
}

export const listener: Fields<Omit<ListenerSettings, "name">> = {
  type: ["type", choice(["tcp"], " (the only type so far: tls, ws and wss are not there yet)")],
  address: ["address", text(`an IP address or a host name, without port`, (value) => /^[\w.:%-]+$/.test(value))],
  port: ["port", integer(0, 65_535)],
  maxConnections: ["max_connections", integer(1, 10_000_000)],
  maxConnectionRate: ["max_connection_rate", integer(0, 1_000_000)],
  backlog: ["backlog", integer(1, 65_535)],
  enabled: ["enabled", truth]
}
