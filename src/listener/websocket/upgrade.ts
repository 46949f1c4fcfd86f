// The HTTP request with which a WebSocket begins (RFC 6455 section 4), judged and answered. Pure: the head of a request in, the bytes of
// an answer out. Whoever is not let in reads in plain words what this port is; the operator gets the same as one line.
// Invariant: nothing that the client sent stands in an answer, but the subprotocol, which is one of ours.
import { createHash } from "node:crypto"
import { isIP } from "node:net"

export interface UpgradeRules {
  /** Of the request's target, without its query: "/mqtt". */
  readonly path: string
  /** Whether a client that offers no subprotocol is refused, as MQTT wants it. */
  readonly requireSubprotocol: boolean
  /** Origins of web pages that may connect, "https://example.com"; empty: all. */
  readonly allowedOrigins: ReadonlyArray<string>
  /** Whether X-Forwarded-For says who the client is. */
  readonly trustForwardedFor: boolean
  /**
   * Whether clients on this machine may do what others may not. A browser on it connects for any page that it has open, so pages
   * from elsewhere have to be in `allowedOrigins` then.
   */
  readonly favoursLoopback: boolean
}

/** Who asks, as the socket knows it. Asked for only when there is need. */
export interface UpgradePeer {
  readonly isLoopback: (forwardedFor: string | undefined) => boolean
}

export type UpgradeAnswer =
  | {
    readonly _tag: "Accepted"
    readonly response: Buffer
    /** The client's address as the proxy in front gives it. */
    readonly forwardedFor: string | undefined
  }
  | Refused

export interface Refused {
  readonly _tag: "Refused"
  readonly response: Buffer
  readonly status: number
  /** For the log. */
  readonly reason: string
}

/** MQTT section 6 has "mqtt"; the other two are what clients of 3.1 and 3.1.1 used to say. */
export const subprotocols: ReadonlyArray<string> = ["mqtt", "mqttv3.1.1", "mqttv3.1"]

const statusTexts: ReadonlyMap<number, string> = new Map([
  [400, "Bad Request"],
  [403, "Forbidden"],
  [404, "Not Found"],
  [405, "Method Not Allowed"],
  [408, "Request Timeout"],
  [426, "Upgrade Required"],
  [431, "Request Header Fields Too Large"]
])

const refused = (
  status: number,
  reason: string,
  text: string,
  headers: ReadonlyArray<string> = ["Connection: close"]
): Refused => ({
  _tag: "Refused",
  status,
  reason,
  response: Buffer.from([
    `HTTP/1.1 ${status} ${statusTexts.get(status) ?? ""}`,
    ...headers,
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(text) + 1}`,
    "",
    `${text}\n`
  ].join("\r\n"))
})

/** Before the head was whole: the client went on for too long, or the broker is stopping. */
export const unfinished: Refused = refused(408, "no whole request", "The request for a WebSocket did not come in time.")

export const headTooLarge = (maximum: number): Refused =>
  refused(431, `a request of more than ${maximum} bytes`, `The head of a request may have ${maximum} bytes here.`)

const whatThisIs = (path: string): string =>
  `This port speaks MQTT over WebSocket at ${path}: connect with an MQTT client to ws://…${path} ` +
  `(wss:// where it has TLS), subprotocol "mqtt".`

const spokenInstead: ReadonlyMap<number, string> = new Map([
  [0x10, "MQTT without WebSocket: the client wants a tcp or tls listener"],
  [0x16, "TLS: this listener has none"]
])

/** What begins like this is no HTTP request; undefined: it may become one. */
export const notHttp = (firstByte: number, path: string): Refused | undefined =>
  firstByte >= 0x41 && firstByte <= 0x5a
    ? undefined
    : refused(400, spokenInstead.get(firstByte) ?? "no HTTP request", whatThisIs(path))

/** Where the head ends, its empty line included; 0: not yet. `from` bytes have been looked at before. */
export const endOfHead = (bytes: Buffer, from: number): number => {
  const found = bytes.indexOf("\r\n\r\n", Math.max(0, from - 3), "latin1")
  return found < 0 ? 0 : found + 4
}

const tokens = (value: string | undefined): ReadonlyArray<string> =>
  (value ?? "").split(",").map((token) => token.trim()).filter((token) => token !== "")
const has = (value: string | undefined, token: string): boolean =>
  tokens(value).some((one) => one.toLowerCase() === token)

/** Lower-case names; a header that comes again is joined to the first by a comma. Undefined: not the form of a head. */
const headersOf = (lines: ReadonlyArray<string>): ReadonlyMap<string, string> | undefined => {
  const headers = new Map<string, string>()
  for (const line of lines) {
    const [, given, value = ""] = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? []
    if (given === undefined) return undefined
    const name = given.toLowerCase()
    const before = headers.get(name)
    headers.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return headers
}

/** `head`: a request up to and with its empty line. */
export const answerUpgrade = (head: Buffer, rules: UpgradeRules, peer: UpgradePeer): UpgradeAnswer => {
  const { path } = rules
  const [requestLine = "", ...lines] = head.toString("latin1", 0, head.length - 4).split("\r\n")
  const [, method, target = ""] = /^([A-Z]+) (\S+) HTTP\/1\.1$/.exec(requestLine) ?? []
  const headers = headersOf(lines)
  if (method === undefined || headers === undefined) return refused(400, "no HTTP/1.1 request", whatThisIs(path))
  if (!has(headers.get("upgrade"), "websocket") || !has(headers.get("connection"), "upgrade")) {
    return refused(426, "plain HTTP", whatThisIs(path), ["Connection: Upgrade, close", "Upgrade: websocket"])
  }
  if (method !== "GET") {
    return refused(405, "not a GET request", whatThisIs(path), ["Connection: close", "Allow: GET"])
  }
  const asked = target.split("?", 1)[0] ?? ""
  if (asked !== path) return refused(404, `path ${asked.slice(0, 64)}`, whatThisIs(path))
  if (headers.get("sec-websocket-version") !== "13") {
    return refused(426, "another version of WebSocket", "This port speaks version 13 of WebSocket (RFC 6455).", [
      "Connection: Upgrade, close",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13"
    ])
  }
  const key = headers.get("sec-websocket-key") ?? ""
  if (!/^[+/0-9A-Za-z]{22}==$/.test(key)) {
    return refused(400, "no good Sec-WebSocket-Key", "Sec-WebSocket-Key must be 16 bytes in base 64.")
  }
  const origin = headers.get("origin")
  if (origin !== undefined && !originAllowed(origin, rules.allowedOrigins)) {
    return refused(403, `origin ${origin.slice(0, 64)}`, "Pages of this origin may not connect here.")
  }
  const client = rules.trustForwardedFor ? forwardedFor(headers.get("x-forwarded-for")) : undefined
  if (origin !== undefined && isForeign(origin, rules) && peer.isLoopback(client)) {
    return refused(
      403,
      `origin ${
        origin.slice(0, 64)
      }: it is not in ws_allowed_origins, and access.anonymous = "loopback" would let its pages in`,
      "Pages of this origin may not connect from the broker's own machine."
    )
  }
  const offered = tokens(headers.get("sec-websocket-protocol"))
  // [MQTT-6.0.0-3] [MQTT5-6.0.0-3] clients offer it; [MQTT-6.0.0-4] [MQTT5-6.0.0-4] the one of ours that the client names first
  const chosen = offered.find((one) => subprotocols.includes(one))
  if (chosen === undefined && (offered.length > 0 || rules.requireSubprotocol)) {
    return refused(
      400,
      offered.length > 0 ? `subprotocol ${offered[0]?.slice(0, 64)}` : "no subprotocol",
      'The client must offer the subprotocol "mqtt" (Sec-WebSocket-Protocol: mqtt).'
    )
  }
  return {
    _tag: "Accepted",
    response: accepted(key, chosen),
    forwardedFor: client
  }
}

const accepted = (key: string, subprotocol: string | undefined): Buffer => {
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`, "latin1").digest("base64")
  const choice = subprotocol === undefined ? "" : `Sec-WebSocket-Protocol: ${subprotocol}\r\n`
  return Buffer.from(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\n${choice}\r\n`,
    "latin1"
  )
}

const originAllowed = (origin: string, allowed: ReadonlyArray<string>): boolean =>
  allowed.length === 0 || allowed.some((one) => one.toLowerCase() === origin.toLowerCase())

/** A page that has not come from this machine; `null` is a page of nowhere, such as a file or a frame in a sandbox. */
const isForeign = (origin: string, { allowedOrigins, favoursLoopback }: UpgradeRules): boolean =>
  favoursLoopback && allowedOrigins.length === 0 &&
  !/^https?:\/\/(?:localhost|[\w.-]+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/i.test(origin)

/** The last address: what the proxy next to us has seen. Those before it are what somebody told that proxy. */
const forwardedFor = (value: string | undefined): string | undefined => {
  const last = tokens(value).at(-1) ?? ""
  const address = /^\[([^\]]*)\](?::\d+)?$/.exec(last)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(last)?.[1] ?? last
  return isIP(address) === 0 ? undefined : address
}
