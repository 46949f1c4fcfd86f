// Which settings of a listener hang together: a change of some needs a new socket to listen on, of others none. Pure.
import type { ListenerSettings } from "../config/Settings.ts"

const addressKeys = [
  "type",
  "address",
  "port",
  "unixMode",
  "backlog",
  "proxyProtocol",
  "proxyProtocolTimeoutMillis",
  "certificate",
  "key",
  "sniCertificates",
  "ca",
  "crl",
  "clientCertificate",
  "tlsVersions",
  "ciphers",
  "handshakeTimeoutMillis",
  "maxHandshakes",
  "path",
  "wsRequireSubprotocol",
  "wsAllowedOrigins",
  "wsMaxFrameSize",
  "wsMaxHeaderSize",
  "trustForwardedFor"
] as const

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

/** The socket that is listened on can stay. */
export const sameAddress = (a: ListenerSettings, b: ListenerSettings): boolean =>
  addressKeys.every((key) => same(a[key], b[key]))

export const sameDoor = (a: ListenerSettings, b: ListenerSettings): boolean => same(a, b)
