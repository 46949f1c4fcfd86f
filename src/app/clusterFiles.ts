// The files that `[cluster]` names: the secret, and certificates for TLS between nodes; and the transport that they make. Read at the start
// and at each reload. Invariant: a reload takes all of them or, when one has a fault, none.
import { Data, Effect } from "effect"
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { isClustered } from "../config/sections/cluster.ts"
import type { ClusterSettings } from "../config/Settings.ts"
import type { Counters } from "../metrics/Counters.ts"
import type { EventLog } from "../metrics/EventLog.ts"
import type { ClientTls } from "../platform/connect.ts"
import { mostSecrets } from "../cluster/links/handshake.ts"
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
  /** For connections from then on, those that come in; what is there stays when it fails. */
  readonly exchange: (tls: ClientTls) => Effect.Effect<void, ClusterFailed>
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

/** A second line that is shorter is rather the rest of the first, wrapped: a secret that could be guessed. */
const leastSecondCharacters = 16

/** The lines of its file, or the setting itself; one that is "": there is none. */
export const readSecrets = (
  { secret, secretFile }: ClusterSettings
): Effect.Effect<ReadonlyArray<string>, ClusterFailed> =>
  secretFile === "" ? Effect.succeed([secret]) : Effect.flatMap(read("secret_file", secretFile), (text) => {
    const fault = (what: string) => Effect.fail(failed("secret_file", `${secretFile}: ${what}`))
    const [first = "", ...more] = text.split(/\r?\n/).map((line) => line.trim())
    const others = more.filter((line) => line !== "")
    if (first === "") return fault("its first line is empty")
    if (others.length >= mostSecrets) return fault("two lines at most: a secret, and while it is changed another one")
    if (others.some((line) => line.length < leastSecondCharacters)) {
      return fault(`its second line is no secret of ${leastSecondCharacters} characters at least`)
    }
    return Effect.succeed([first, ...others])
  })

const readTls = ({ ca, certificate, key }: ClusterSettings): Effect.Effect<ClientTls, ClusterFailed> =>
  Effect.all({ certificate: read("certificate", certificate), key: read("key", key), ca: read("ca", ca) })

/** For `emqttd check`: whether the files are there. */
export const clusterFileFaults = (settings: ClusterSettings): Effect.Effect<ReadonlyArray<string>> => {
  if (!isClustered(settings)) return Effect.succeed([])
  const files = settings.tls ? (["certificate", "key", "ca"] as const).map((key) => read(key, settings[key])) : []
  return Effect.forEach(
    [Effect.asVoid(readSecrets(settings)), ...files.map(Effect.asVoid)],
    (file) =>
      Effect.match(file, {
        onFailure: ({ message }) => [`emqttd: ${message}`],
        onSuccess: (): ReadonlyArray<string> => []
      })
  ).pipe(Effect.map((faults) => faults.flat()))
}

export const transportOf = Effect.fnUntraced(function* (
  settings: ClusterSettings,
  log: EventLog,
  counters: Counters
): Effect.fn.Return<ClusterTransport, ClusterFailed> {
  if (!settings.tls) return { tcp, tls: undefined, exchange: () => Effect.void }
  const tls = yield* readTls(settings)
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
    }, certificatesOf(tls)),
    invalid
  )
  return {
    tcp: secured,
    tls,
    exchange: (next) => Effect.mapError(secured.exchange(certificatesOf(next)), invalid)
  }
})

const invalid = ({ message }: { readonly message: string }): ClusterFailed => failed("tls", message)
const certificatesOf = (tls: ClientTls) => ({ ...tls, crl: undefined, names: [] })

/** What a reload has read anew: certificates only where there is TLS. */
export interface ClusterFiles {
  readonly secrets: ReadonlyArray<string>
  readonly tls: ClientTls | undefined
}

export const readClusterFiles = (settings: ClusterSettings): Effect.Effect<ClusterFiles, ClusterFailed> =>
  Effect.all({ secrets: readSecrets(settings), tls: settings.tls ? readTls(settings) : Effect.undefined })
