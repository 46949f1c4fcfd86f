// The TCP of the runtime that we run on. TcpBun can be loaded anywhere, but listens on Bun alone.
import type { Tcp } from "./Tcp.ts"
import { tcpBun } from "./TcpBun.ts"
import { tcpNode } from "./TcpNode.ts"

export const tcp: Tcp = process.versions["bun"] === undefined ? tcpNode : tcpBun
