// `emqttd check`: says whether the settings and the files they name are good, without starting anything.
import { Console, Effect } from "effect"
import { checkLinkFiles } from "../access/authentication/makeLinks.ts"
import { rulesReaderAlone } from "../app/accessRules.ts"
import { clusterFileFaults } from "../app/clusterFiles.ts"
import type { LoadedSettings } from "../config/loadSettings.ts"
import type { ListenerSettings } from "../config/Settings.ts"
import { readCertificates } from "../listener/certificateFiles.ts"
import { tlsContexts } from "../platform/TlsContext.ts"
import { ExitCode, exitWith } from "./Exit.ts"

/** Faults of the settings have been told by the time this is reached; those of the rules, of the links' files and of the certificates come here. */
export const check = Effect.fnUntraced(function* ({ file, settings }: LoadedSettings) {
  const readRules = yield* rulesReaderAlone
  const faults = [
    ...yield* faultsOf(readRules(settings)),
    ...yield* faultsOf(checkLinkFiles(settings)),
    ...(yield* Effect.forEach(settings.listeners, certificateFaults)).flat(),
    ...yield* clusterFileFaults(settings.cluster)
  ]
  if (faults.length > 0) return yield* exitWith(ExitCode.Configuration, faults)
  return yield* Console.log(`ok: ${file ?? "no file, the defaults"}`)
}, Effect.scoped)

const faultsOf = <A, R>(
  checked: Effect.Effect<A, { readonly faults: ReadonlyArray<string> }, R>
): Effect.Effect<ReadonlyArray<string>, never, R> =>
  Effect.match(checked, { onFailure: ({ faults }) => faults, onSuccess: () => [] })

/** In the words in which the start would end. */
const certificateFaults = (listener: ListenerSettings): Effect.Effect<ReadonlyArray<string>> => {
  if (!listener.enabled || (listener.type !== "tls" && listener.type !== "wss")) return Effect.succeed([])
  const { ciphers, clientCertificate, name, tlsVersions: versions } = listener
  return readCertificates(listener).pipe(
    Effect.flatMap((certificates) => tlsContexts(certificates, { ciphers, clientCertificate, versions })),
    Effect.as([]),
    Effect.catch(({ message }) => Effect.succeed([`emqttd: listener ${name}: ${message}`]))
  )
}
