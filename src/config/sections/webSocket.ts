// The settings of a listener that only `ws` and `wss` have. They stand in `[listeners.<name>]` (listener.ts).
import type { Fields } from "../table.ts"
import { size, text, textList, truth } from "../settingCodecs.ts"

export interface WebSocketSettings {
  /** Where MQTT is; a request for another path gets 404. */
  readonly path: string
  /** A client that offers no subprotocol gets 400, as MQTT wants it. One that offers others only gets it in any case. */
  readonly wsRequireSubprotocol: boolean
  /**
   * Origins of web pages that may connect, scheme://host[:port] or null; others get 403. Empty: all, but with access.anonymous =
   * "loopback" only pages of this machine's own from this machine.
   */
  readonly wsAllowedOrigins: ReadonlyArray<string>
  /** 1 KiB to 1 GiB, of a message in one frame or in fragments. Larger: closed with 1009. */
  readonly wsMaxFrameSize: number
  /** 512 bytes to 64 KiB, of the request with which a WebSocket begins. Larger: 431. */
  readonly wsMaxHeaderSize: number
  /** Whether the last address in X-Forwarded-For is the client's. */
  readonly trustForwardedFor: boolean
}

export const webSocketDefaults: WebSocketSettings = {
  path: "/mqtt",
  wsRequireSubprotocol: true,
  wsAllowedOrigins: [],
  wsMaxFrameSize: 16 * 1024 * 1024,
  wsMaxHeaderSize: 8 * 1024,
  trustForwardedFor: false
}

export const webSocketFields: Fields<WebSocketSettings> = {
  path: [
    "path",
    text(
      `a path that begins with /, as in "/mqtt"`,
      (value) => /^\/[!$&'()*+,\-./0-9:;=@A-Z_a-z~%]{0,255}$/.test(value)
    )
  ],
  wsRequireSubprotocol: ["ws_require_subprotocol", truth],
  wsAllowedOrigins: [
    "ws_allowed_origins",
    textList(
      `origins like "https://example.com", or "null"`,
      (value) => value === "null" || /^[a-z][a-z0-9+.-]*:\/\/[^/\s]+$/i.test(value)
    )
  ],
  wsMaxFrameSize: ["ws_max_frame_size", size(1024, 2 ** 30)],
  wsMaxHeaderSize: ["ws_max_header_size", size(512, 65_536)],
  trustForwardedFor: ["trust_forwarded_for", truth]
}
