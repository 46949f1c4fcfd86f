// The files that `[cluster]` names: the secret, and certificates for TLS between nodes; and the transport that they make. Read once, at
// the start.
import { Data, Effect } from "effect"
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { isClustered } from "../config/sections/cluster.ts"
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

/**
 * Of this start: the time, but greater than at any start before with this data directory, also when the clock was set back. Other nodes
 * tell by it whether the node is still the one they knew.
 */
export const nextEpoch = (dataDir: string, now: number): Effect.Effect<number, ClusterFailed> =>
  Effect.try({
    try: () => {
      const file = join(dataDir, "cluster-epoch")
      const before = existsSync(file) ? Number.parseInt(readFileSync(file, "utf8"), 10) : 0
      const epoch = Math.max(now, Number.isSafeInteger(before) ? before + 1 : 0)
      writeFileSync(`${file}.new`, `${epoch}\n`, { mode: 0o600, flush: true })
      renameSync(`${file}.new`, file)
      return epoch
    },
    catch: (error) =>
      new ClusterFailed({ message: `cluster: ${error instanceof Error ? error.message : String(error)}`, exitCode: 74 })
  })

const mostHandshakes = 256

const failed = (setting: string, detail: string): ClusterFailed =>
  new ClusterFailed({ message: `cluster.${setting}: ${detail}`, exitCode: 78 })

const reasons: ReadonlyMap<string, string> = new Map([["ENOENT", "no such file"], ["EACCES", "permission denied"]])

const reasonOf = (error: unknown): string => {
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : ""
  return reasons.get(code) ?? message
}

const read = (setting: string, file: string): Effect.Effect<string, ClusterFailed> =>
  Effect.try({
    try: () => readFileSync(file, "utf8"),
    catch: (error) => failed(setting, `${file}: ${reasonOf(error)}`)
  })

/** The first line of its file, or the setting itself; "": there is none. */
export const readSecret = ({ secret, secretFile }: ClusterSettings): Effect.Effect<string, ClusterFailed> =>
  secretFile === "" ? Effect.succeed(secret) : Effect.flatMap(read("secret_file", secretFile), (text) => {
    const line = text.split(/\r?\n/)[0]?.trim() ?? ""
    return line === ""
      ? Effect.fail(failed("secret_file", `${secretFile}: its first line is empty`))
      : Effect.succeed(line)
  })

/** For `emqttd check`: whether the files are there. */
export const clusterFileFaults = (settings: ClusterSettings): Effect.Effect<ReadonlyArray<string>> => {
  if (!isClustered(settings)) return Effect.succeed([])
  const files = settings.tls ? (["certificate", "key", "ca"] as const).map((key) => read(key, settings[key])) : []
  return Effect.forEach([readSecret(settings), ...files], (file) =>
    Effect.match(file, {
      onFailure: ({ message }) => [`emqttd: ${message}`],
      onSuccess: (): ReadonlyArray<string> => []
    })).pipe(Effect.map((faults) => faults.flat()))
}

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
