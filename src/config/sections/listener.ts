// `[listeners.<name>]`: one address on which clients are accepted, what is spoken there, and who may knock.
import type { Fields } from "../table.ts"
import { choice, cidrList, duration, integer, text, textList, truth } from "../settingCodecs.ts"
import { webSocketDefaults, webSocketFields, type WebSocketSettings } from "./webSocket.ts"

export const listenerTypes = ["tcp", "tls", "ws", "wss"] as const
export type ListenerType = (typeof listenerTypes)[number]

/** The ports of the original; a listener without a port takes the one of its type. */
export const usualPorts: { readonly [Type in ListenerType]: number } = { tcp: 1883, tls: 8883, ws: 8083, wss: 8084 }

export const certificateNames = ["none", "user_name_cn", "user_name_dn", "client_id_cn", "client_id_dn"] as const

export interface ListenerSettings extends WebSocketSettings {
  /** The key in the file: `[listeners.<name>]`. Letters, digits, `_` and `-`. */
  readonly name: string
  /** By default the name, if it is one of the types, else tcp. */
  readonly type: ListenerType
  /** An IP address or host name; `0.0.0.0` is every IPv4 interface, `::` every IPv6 (and IPv4) one; or `unix:` and a path. */
  readonly address: string
  /** 0 to 65535; 0 lets the system choose. In use or not permitted: exit 69. Of no meaning with `unix:`. */
  readonly port: number
  /** Permissions of a Unix socket's file, octal. */
  readonly unixMode: string
  /** 1 to 10,000,000. The next one is refused: CONNACK 0x97 Quota exceeded (3.x: 3). */
  readonly maxConnections: number
  /**
   * New connections a second, 0 to 1,000,000; 0 is no limit. Above it: CONNACK 0x9F Connection rate exceeded (3.x: 3).
   */
  readonly maxConnectionRate: number
  /** 0 to 1,000,000: after a rest so many may come at once; 0: those of one second. */
  readonly maxConnectionBurst: number
  /** 1 to 65535; connections the kernel keeps until they are accepted (the system's own maximum applies too). */
  readonly backlog: number
  readonly enabled: boolean
  /** 100 ms to 10 min; 0: as connection.connect_timeout. */
  readonly connectTimeoutMillis: number
  /** Networks whose clients may come in; empty: all. */
  readonly allow: ReadonlyArray<string>
  /** Networks whose clients are closed at once; goes before `allow`. */
  readonly deny: ReadonlyArray<string>
  /** Put before every topic of these clients; `%c` is the client id, `%u` the user name; "" is none. */
  readonly mountpoint: string
  /** The table [zones.<name>] whose limits hold for these clients; "" is none. */
  readonly zone: string
  /** Whether a PROXY header, version 1 or 2, comes first; a connection without one is closed then. */
  readonly proxyProtocol: boolean
  /** 100 ms to 10 min, for the PROXY header to be there. */
  readonly proxyProtocolTimeoutMillis: number
  /** PEM file, the certificate and those that lead to its root. */
  readonly certificate: string
  /** PEM file. */
  readonly key: string
  /** `server name=certificate file:key file`, for clients that ask for that name (SNI). */
  readonly sniCertificates: ReadonlyArray<string>
  /** PEM file of the authorities whose client certificates are good. */
  readonly ca: string
  /** PEM file of revoked certificates; "" is none. */
  readonly crl: string
  readonly clientCertificate: "off" | "optional" | "required"
  /** What a client certificate's name becomes. */
  readonly certificateAs: (typeof certificateNames)[number]
  readonly tlsVersions: ReadonlyArray<string>
  /** As OpenSSL writes them; "" is the runtime's choice. */
  readonly ciphers: string
  /** 100 ms to 10 min. */
  readonly handshakeTimeoutMillis: number
  /** 1 to 1,000,000 TLS handshakes at the same time; the next one is closed. */
  readonly maxHandshakes: number
}

export const defaultListener: ListenerSettings = {
  name: "tcp",
  type: "tcp",
  address: "0.0.0.0",
  port: 1883,
  unixMode: "0660",
  maxConnections: 1_000_000,
  maxConnectionRate: 50_000,
  maxConnectionBurst: 0,
  backlog: 4096,
  enabled: true,
  connectTimeoutMillis: 0,
  allow: [],
  deny: [],
  mountpoint: "",
  zone: "",
  proxyProtocol: false,
  proxyProtocolTimeoutMillis: 5_000,
  certificate: "",
  key: "",
  sniCertificates: [],
  ca: "",
  crl: "",
  clientCertificate: "off",
  certificateAs: "none",
  tlsVersions: ["1.2", "1.3"],
  ciphers: "",
  handshakeTimeoutMillis: 10_000,
  maxHandshakes: 1_000,
  ...webSocketDefaults
}

/** There beside `tcp` as long as nothing is said about listeners. */
export const defaultWebSocketListener: ListenerSettings = {
  ...defaultListener,
  name: "ws",
  type: "ws",
  port: usualPorts.ws
}

/** `unix:/run/emqttd.sock` → the path; undefined: not a Unix socket. */
export const unixPathOf = (address: string): string | undefined =>
  address.startsWith("unix:") ? address.slice("unix:".length) : undefined

const isMountpoint = (value: string): boolean =>
  value === "" || (!/[+#\0]/.test(value) && !value.startsWith("$") && Buffer.byteLength(value) <= 1024)

const seconds = { minimum: "100ms", maximum: "10m" }
const anyText = text("a text", () => true)

export const listener: Fields<Omit<ListenerSettings, "name">> = {
  type: ["type", choice(listenerTypes)],
  address: [
    "address",
    text(
      "an IP address or a host name, without port, or unix: and a path",
      (value) => value.startsWith("unix:") ? /^unix:\/.{1,100}$/.test(value) : /^[\w.:%-]+$/.test(value)
    )
  ],
  port: ["port", integer(0, 65_535)],
  unixMode: ["unix_mode", text(`octal permissions, as in "0660"`, (value) => /^0?[0-7]{3}$/.test(value))],
  maxConnections: ["max_connections", integer(1, 10_000_000)],
  maxConnectionRate: ["max_connection_rate", integer(0, 1_000_000)],
  maxConnectionBurst: ["max_connection_burst", integer(0, 1_000_000)],
  backlog: ["backlog", integer(1, 65_535)],
  enabled: ["enabled", truth],
  connectTimeoutMillis: ["connect_timeout", duration({ ...seconds, zero: true })],
  allow: ["allow", cidrList],
  deny: ["deny", cidrList],
  mountpoint: [
    "mountpoint",
    text("a topic of at most 1,024 bytes without + and #, not beginning with $", isMountpoint)
  ],
  zone: ["zone", anyText],
  proxyProtocol: ["proxy_protocol", truth],
  proxyProtocolTimeoutMillis: ["proxy_protocol_timeout", duration(seconds)],
  certificate: ["certificate", anyText],
  key: ["key", anyText],
  sniCertificates: [
    "sni_certificates",
    textList(`"server name=certificate file:key file"`, (value) => /^[^=]+=[^:]+:[^:]+$/.test(value))
  ],
  ca: ["ca", anyText],
  crl: ["crl", anyText],
  clientCertificate: ["client_certificate", choice(["off", "optional", "required"])],
  certificateAs: ["certificate_as", choice(certificateNames)],
  tlsVersions: ["tls_versions", textList(`"1.2" and "1.3"`, (value) => value === "1.2" || value === "1.3")],
  ciphers: ["ciphers", anyText],
  handshakeTimeoutMillis: ["handshake_timeout", duration(seconds)],
  maxHandshakes: ["max_handshakes", integer(1, 1_000_000)],
  ...webSocketFields
}
