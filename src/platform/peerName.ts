// The names in a client's certificate. Invariant: what cannot be read is no name.
import { X509Certificate } from "node:crypto"
import type { PeerCertificate } from "./Tcp.ts"

/** `raw`: DER. The whole name as RFC 4514 writes it: most specific first, `CN=pump-7,O=Example`. */
export const peerNameOf = (raw: Buffer): PeerCertificate | undefined => {
  try {
    // One attribute a line, least specific first, escaped as the RFC wants it.
    const lines = new X509Certificate(raw).subject.split("\n").reverse()
    const commonName = lines.find((line) => line.startsWith("CN="))?.slice(3).replace(/\\(.)/g, "$1")
    return { commonName, distinguishedName: lines.join(",") }
  } catch {
    return undefined
  }
}
