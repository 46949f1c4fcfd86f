// Who is told of clients that come and go, declared here for the connection and implemented by `$SYS`. Called in the connection's turn, after
// CONNACK and after the end. Invariant: of each client that was told to have come it is told once that it has gone.
import type { ProtocolVersion } from "../mqtt/Packet.ts"

export interface PresentClient {
  readonly clientId: string
  /** Never a token. */
  readonly userName: string | undefined
  /** "address:port" */
  readonly peer: string
  readonly version: ProtocolVersion
}

export interface PresentTerms {
  readonly cleanStart: boolean
  readonly keepAliveSeconds: number
  readonly expiryMillis: number
}

export interface Presence {
  /** Whether anybody may want to know: asked before anything is put together. */
  readonly isWanted: boolean
  connected(client: PresentClient, terms: PresentTerms): void
  /** `reason`: one word, as the original has them: normal, closed, keepalive_timeout, conflict, kick and the like. */
  disconnected(client: PresentClient, reason: string): void
}
