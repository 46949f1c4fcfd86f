// The files that `[cluster]` names: the secret, and certificates for TLS between nodes; and the transport that they make. Read once, at
// the start.
import { Data, Effect } from "effect"
import { readFileSync } from "node:fs"
import type { ClusterSettings } from "../config/Settings.ts"
import type { Counters } from "../metrics/Counters.ts"
import type { EventLog } from "../metrics/EventLog.ts"
import type { ClientTls } from "../platform/connect.ts"
import { tcp } from "../platform/runtimeTcp.ts"
import type { Tcp } from "../platform/Tcp.ts"
import { makeTls } from "../platform/Tls.ts"

/** One line for the operator; 69 for an address, 78 for a setting. */
export class ClusterFailed extends Data.TaggedError("ClusterFailed")<{
  readonly message: string
  readonly exitCode: number
}> {}

export interface ClusterTransport {
  /** What other nodes come in by. */
  readonly tcp: Tcp
  /** What this node shows when it calls another one; undefined: no TLS. */
  readonly tls: ClientTls | undefined
}

const mostHandshakes = 256

const failed = (setting: string, detail: string): ClusterFailed =>
  new ClusterFailed({ message: `cluster.${setting}: ${detail}`, exitCode: 78 })

const read = (setting: string, file: string): Effect.Effect<string, ClusterFailed> =>
  Effect.try({
    try: () => readFileSync(file, "utf8"),
    catch: (error) => failed(setting, `${file}: ${error instanceof Error ? error.message : String(error)}`)
  })

/** The first line of its file, or the setting itself; "": there is none. */
export const readSecret = ({ secret, secretFile }: ClusterSettings): Effect.Effect<string, ClusterFailed> =>
  secretFile === "" ? Effect.succeed(secret) : Effect.flatMap(read("secret_file", secretFile), (text) => {
    const line = text.split(/\r?\n/)[0]?.trim() ?? ""
    return line === ""
      ? Effect.fail(failed("secret_file", `${secretFile}: its first line is empty`))
      : Effect.succeed(line)
  })

export const transportOf = Effect.fnUntraced(function* (
  settings: ClusterSettings,
  log: EventLog,
  counters: Counters
): Effect.fn.Return<ClusterTransport, ClusterFailed> {
  if (!settings.tls) return { tcp, tls: undefined }
  const tls: ClientTls = {
    certificate: yield* read("certificate", settings.certificate),
    key: yield* read("key", settings.key),
    ca: yield* read("ca", settings.ca)
  }
  const secured = yield* Effect.mapError(
    makeTls({
      ciphers: "",
      clientCertificate: "required",
      versions: ["1.2", "1.3"],
      handshakeTimeoutMillis: settings.connectTimeoutMillis,
      maxHandshakes: mostHandshakes,
      onFailed: (reason, address) => {
        counters.cluster_links_refused_total++
        log.warning("cluster: TLS handshake failed", { address, reason })
      },
      onRefused: (address) => {
        counters.cluster_links_refused_total++
        log.warning("cluster: connection closed: too many handshakes at the same time", { address })
      }
    }, { ...tls, crl: undefined, names: [] }),
    ({ message }) => failed("tls", message)
  )
  return { tcp: secured, tls }
})
