// What the sessions of all databases have in common on their way there: TLS by its files, read anew for each session so that renewed
// certificates hold. Invariant: what cannot be read is one line that names the setting's file.
import { Effect } from "effect"
import { readFile } from "node:fs/promises"
import type { BackendSettings } from "../../config/Settings.ts"
import { type BackendFailure, backendFailure } from "./Backend.ts"

export type TlsSettings = Pick<BackendSettings, "tls" | "tlsVerify" | "ca" | "certificate" | "key">

/** Where it is and how to get there, with the password itself. */
export type ReachSettings = TlsSettings & Pick<BackendSettings, "url" | "timeoutMillis"> & { readonly password: string }

export interface TlsOptions {
  readonly rejectUnauthorized: boolean
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** Whose certificate it has to be. */
  readonly servername?: string
}

/** `host`: undefined for a socket file. */
export const tlsOptions = (
  name: string,
  settings: TlsSettings,
  host: string | undefined
): Effect.Effect<TlsOptions, BackendFailure> =>
  Effect.map(
    Effect.all([contents(name, settings.ca), contents(name, settings.certificate), contents(name, settings.key)]),
    ([ca, cert, key]) => ({
      rejectUnauthorized: settings.tlsVerify,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(host === undefined ? {} : { servername: host })
    })
  )

const contents = (name: string, file: string): Effect.Effect<string | undefined, BackendFailure> =>
  file === "" ? Effect.succeed(undefined) : Effect.tryPromise({
    try: () => readFile(file, "utf8"),
    catch: () => backendFailure("away", `${name}: ${file} cannot be read`)
  })

/** The innermost message says what it is; on one line. */
export const reasonOf = (error: unknown): string => {
  const texts: Array<string> = []
  for (let at = error; at instanceof Error && texts.length < 4; at = at.cause) {
    // An AggregateError has nothing to say itself: one attempt an address.
    const said = at instanceof AggregateError && at.message === "" ? at.errors.map(reasonOf).join(", ") : at.message
    if (said !== "" && !texts.includes(said)) texts.push(said)
  }
  const text = texts.length === 0 ? "failed" : texts.join(": ")
  return text.replace(/\s+/g, " ").trim().slice(0, 300)
}
