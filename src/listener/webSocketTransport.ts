// WebSocket over TCP or TLS as a transport: what the settings of a listener say, and what the operator reads and counts when somebody
// is not let in.
import { Effect } from "effect"
import { isLoopback } from "../access/Access.ts"
import type { ListenerSettings } from "../config/Settings.ts"
import type { Tcp, TcpSocket } from "../platform/Tcp.ts"
import type { Services } from "../session/Services.ts"
import { webSocketHandlers, type WebSocketOptions } from "./websocket/WebSocketSocket.ts"

/** Who has had its last answer and does not close is cut off after this time, ms. */
const lingerMillis = 5_000

const optionsOf = (
  settings: ListenerSettings,
  { counters, log, scheduler, settings: { access }, wheel }: Services
): WebSocketOptions => {
  const peerOf = (socket: TcpSocket): string => `${socket.remoteAddress}:${socket.remotePort}`
  return {
    rules: {
      path: settings.path,
      requireSubprotocol: settings.wsRequireSubprotocol,
      allowedOrigins: settings.wsAllowedOrigins,
      trustForwardedFor: settings.trustForwardedFor,
      favoursLoopback: access.anonymous === "loopback"
    },
    isLoopback,
    maxMessageSize: settings.wsMaxFrameSize,
    maxHeaderSize: settings.wsMaxHeaderSize,
    onRefused: ({ reason, status }, socket) => {
      counters.websocket_refused_total++
      log.warning("websocket refused", { listener: settings.name, peer: peerOf(socket), status, reason })
    },
    onFault: (code, reason, socket) => {
      counters.websocket_errors_total++
      log.warning("websocket error", { listener: settings.name, peer: peerOf(socket), code, reason })
    },
    linger: (timed) => {
      const timer = wheel.schedule(scheduler.refresh() + lingerMillis, timed)
      return () => wheel.cancel(timer)
    }
  }
}

/** The same, with WebSocket between the bytes of `tcp` and the handlers. */
export const overWebSocket = (tcp: Tcp, settings: ListenerSettings, services: Services): Tcp => ({
  listen: (listenOptions, handlers) =>
    Effect.suspend(() => tcp.listen(listenOptions, webSocketHandlers(optionsOf(settings, services), handlers)))
})
