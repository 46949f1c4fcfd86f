/**
 * A connection that this node opens, by node:net or node:tls, on both runtimes; a Unix socket too. Behind the contract of Tcp.ts: `open`
 * is called when it is connected, TLS and its certificates included. Invariant: either `failed` is called once, or `open` once and
 * `close` once; after `cancel` none of them begins any more.
 */
import { connect as connectPlain, isIP, type Socket } from "node:net"
import { connect as connectTls, type ConnectionOptions } from "node:tls"
import { accept, NodeSocket, UnixNodeSocket } from "./TcpNode.ts"
import { type TcpHandlers, unixPath } from "./Tcp.ts"

/** Texts of PEM. Both sides show a certificate. */
export interface ClientTls {
  readonly certificate: string
  readonly key: string
  readonly ca: string
}

export interface ConnectOptions {
  /** An IP address, a host name, or `unix:` and a path. */
  readonly host: string
  readonly port: number
  readonly timeoutMillis: number
  readonly tls?: ClientTls | undefined
}

/** Its result closes what is not connected yet; afterwards it does nothing. */
export const connect = <S>(
  options: ConnectOptions,
  handlers: TcpHandlers<S>,
  failed: (reason: string) => void
): () => void => {
  const { timeoutMillis, tls } = options
  const path = unixPath(options.host)
  let over = false
  const socket = socketTo(options)
  const end = (reason: string | undefined) => {
    if (over) return
    over = true
    clearTimeout(timer)
    socket.destroy()
    if (reason !== undefined) failed(reason)
  }
  const timer = setTimeout(() => end("no answer in time"), timeoutMillis)
  socket.on("error", (error) => end(error.message))
  socket.on("close", () => end("closed"))
  socket.once(tls === undefined || path !== undefined ? "connect" : "secureConnect", () => {
    if (over) return
    over = true
    clearTimeout(timer)
    accept(socket, path === undefined ? new NodeSocket(socket) : new UnixNodeSocket(socket), handlers)
  })
  return () => end(undefined)
}

const socketTo = ({ host, port, tls }: ConnectOptions): Socket => {
  const path = unixPath(host)
  if (path !== undefined) return connectPlain({ path })
  return tls === undefined ? connectPlain({ host, port, noDelay: true }) : connectTls(secured(host, port, tls))
}

const secured = (host: string, port: number, tls: ClientTls): ConnectionOptions => ({
  host,
  port,
  ...(isIP(host) === 0 ? { servername: host } : {}),
  cert: tls.certificate,
  key: tls.key,
  ca: tls.ca,
  minVersion: "TLSv1.2",
  rejectUnauthorized: true,
  // Nodes are known by addresses that change. Whoever has a certificate of this authority is one of them; which one, it proves itself.
  checkServerIdentity: () => undefined
})
