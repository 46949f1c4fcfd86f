/**
 * Certificates and keys as texts, checked and made into what node:tls wants. Both runtimes put off what is wrong with them, in part to
 * the handshake, so it is looked for here. Invariant: a set that was accepted once serves every handshake.
 */
import { Data, Effect } from "effect"
import { createPrivateKey, X509Certificate } from "node:crypto"
import { createSecureContext, type SecureContext } from "node:tls"

/** Texts of PEM, not names of files. */
export interface CertificatePair {
  readonly certificate: string
  readonly key: string
}

export interface TlsCertificates extends CertificatePair {
  /** Whose client certificates are good. */
  readonly ca: string | undefined
  readonly crl: string | undefined
  /** For clients that ask for one of these names; `*.example.org` stands for one level. */
  readonly names: ReadonlyArray<CertificatePair & { readonly serverName: string }>
}

export interface TlsPolicy {
  readonly clientCertificate: "off" | "optional" | "required"
  readonly versions: ReadonlyArray<string>
  /** As OpenSSL writes them; "" is the runtime's choice. */
  readonly ciphers: string
}

export class TlsInvalid extends Data.TaggedError("TlsInvalid")<{ readonly message: string }> {}

export interface TlsContexts {
  readonly usual: SecureContext
  readonly of: (serverName: string) => SecureContext
}

const onBun = process.versions["bun"] !== undefined

const oneCertificate = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g

const judged = <A>(what: string, make: () => A): Effect.Effect<A, TlsInvalid> =>
  Effect.try({
    try: make,
    catch: (error) => new TlsInvalid({ message: `${what}: ${error instanceof Error ? error.message : String(error)}` })
  })

const checkedPair = Effect.fnUntraced(function* (name: string, { certificate, key }: CertificatePair) {
  const chain = certificate.match(oneCertificate) ?? []
  if (chain.length === 0) return yield* new TlsInvalid({ message: `${name}: there is no PEM certificate in it` })
  for (const one of chain) yield* judged(name, () => new X509Certificate(one))
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key)) {
    return yield* new TlsInvalid({ message: `key of ${name}: there is no PEM private key in it` })
  }
  const secret = yield* judged(`key of ${name}`, () => createPrivateKey(key))
  const fits = yield* judged(name, () => new X509Certificate(chain[0] ?? "").checkPrivateKey(secret))
  if (!fits) return yield* new TlsInvalid({ message: `${name} and its key do not belong together` })
})

const versionNames = { "1.2": "TLSv1.2", "1.3": "TLSv1.3" } as const

/** Lowest and highest, for node:tls. */
export const versionRange = (versions: ReadonlyArray<string>) => ({
  minVersion: versionNames[versions.includes("1.2") ? "1.2" : "1.3"],
  maxVersion: versionNames[versions.includes("1.3") ? "1.3" : "1.2"]
})

export const tlsContexts = Effect.fnUntraced(function* (certificates: TlsCertificates, policy: TlsPolicy) {
  const { ca, crl, names } = certificates
  // What a runtime would leave undone without a word is not promised.
  if (!onBun && crl !== undefined) return yield* new TlsInvalid({ message: "crl: only Bun can, and this is Deno" })
  if (!onBun && policy.ciphers !== "") {
    return yield* new TlsInvalid({ message: "ciphers: only Bun can, and this is Deno" })
  }
  const authorities = ca?.match(oneCertificate) ?? []
  if (ca !== undefined && authorities.length === 0) {
    return yield* new TlsInvalid({ message: "ca: there is no PEM certificate in it" })
  }
  for (const authority of authorities) yield* judged("ca", () => new X509Certificate(authority))

  const contextOf = Effect.fnUntraced(function* (name: string, pair: CertificatePair) {
    yield* checkedPair(name, pair)
    return yield* judged(name, () =>
      createSecureContext({
        cert: pair.certificate,
        key: pair.key,
        ...versionRange(policy.versions),
        ...(ca !== undefined && policy.clientCertificate !== "off" ? { ca } : {}),
        ...(crl !== undefined ? { crl } : {}),
        ...(policy.ciphers !== "" ? { ciphers: policy.ciphers } : {})
      }))
  })

  const usual = yield* contextOf("certificate", certificates)
  const byName = new Map<string, SecureContext>()
  for (const one of names) {
    byName.set(one.serverName.toLowerCase(), yield* contextOf(`certificate of ${one.serverName}`, one))
  }
  const contexts: TlsContexts = {
    usual,
    of: (serverName) => {
      if (byName.size === 0) return usual
      const name = serverName.toLowerCase()
      return byName.get(name) ?? byName.get(name.replace(/^[^.]+/, "*")) ?? usual
    }
  }
  return contexts
})
