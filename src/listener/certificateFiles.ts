// The files that a TLS listener names, read whole. Invariant: what cannot be read is named with its setting and its reason, and no byte
// of a key gets into a text that is logged.
import { Data, Effect } from "effect"
import { readFileSync, statSync } from "node:fs"
import type { ListenerSettings } from "../config/Settings.ts"
import type { TlsCertificates } from "../platform/TlsContext.ts"

export class FileUnreadable extends Data.TaggedError("FileUnreadable")<{ readonly message: string }> {}

const reasons: ReadonlyMap<string, string> = new Map([
  ["ENOENT", "no such file"],
  ["EACCES", "permission denied"],
  ["EPERM", "permission denied"],
  ["EISDIR", "is a directory"]
])

const reasonOf = (error: unknown): string => {
  const code = error instanceof Error && "code" in error ? String(error.code) : ""
  return reasons.get(code) ?? `cannot be read (${code === "" ? String(error) : code})`
}

const read = (setting: string, file: string): Effect.Effect<string, FileUnreadable> =>
  Effect.try({
    try: () => readFileSync(file, "utf8"),
    catch: (error) => new FileUnreadable({ message: `${setting} ${file}: ${reasonOf(error)}` })
  })

const optional = (setting: string, file: string) => file === "" ? Effect.succeed(undefined) : read(setting, file)

/** `*.example.org=/etc/a.pem:/etc/a.key`, as the settings have checked it. */
const namedPair = (text: string) => {
  const [serverName = "", files = ""] = text.split("=", 2)
  const [certificate = "", key = ""] = files.split(":", 2)
  return { serverName: serverName.trim(), certificate, key }
}

export const readCertificates = Effect.fnUntraced(function* (
  settings: ListenerSettings
): Effect.fn.Return<TlsCertificates, FileUnreadable> {
  const names: Array<TlsCertificates["names"][number]> = []
  const certificate = yield* read("certificate", settings.certificate)
  const key = yield* read("key", settings.key)
  for (const { certificate, key, serverName } of settings.sniCertificates.map(namedPair)) {
    names.push({
      serverName,
      certificate: yield* read(`certificate of ${serverName}`, certificate),
      key: yield* read(`key of ${serverName}`, key)
    })
  }
  const ca = yield* optional("ca", settings.ca)
  const crl = yield* optional("crl", settings.crl)
  return { certificate, key, names, ca, crl }
})

/** Another text whenever one of the files has been written or replaced: cheap enough to be asked for every few seconds. */
export const stampOf = (settings: ListenerSettings): string => {
  const { ca, certificate, crl, key, sniCertificates } = settings
  const pairs = sniCertificates.map(namedPair).flatMap((pair) => [pair.certificate, pair.key])
  return [certificate, key, ca, crl, ...pairs].filter((file) => file !== "").map((file) => {
    const found = statSync(file, { throwIfNoEntry: false })
    return found === undefined ? "none" : `${found.ino} ${found.size} ${found.mtimeMs}`
  }).join("|")
}
