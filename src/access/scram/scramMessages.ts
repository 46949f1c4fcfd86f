// The two messages that a client of SCRAM sends, read to the letter of RFC 5802 section 7. Pure. Invariant: what does not follow the grammar
// is none; the fault says in the RFC's words what is wrong.

/** client-first-message. */
export interface ClientFirst {
  /** "n,,": goes into the second message again. */
  readonly gs2Header: string
  /** The name under which the client wants to act; undefined: its own. */
  readonly authorizationName: string | undefined
  readonly userName: string
  readonly nonce: string
  /** client-first-message-bare: goes into the proof. */
  readonly bare: string
}

/** client-final-message. */
export interface ClientFinal {
  /** The bytes of `c=`. */
  readonly channelBinding: string
  readonly nonce: string
  readonly proof: Uint8Array
  /** client-final-message-without-proof: goes into the proof. */
  readonly withoutProof: string
}

/** Of a SCRAM message that is still read: more is nobody's name and nonce. */
export const maximumMessageSize = 4_096

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Undefined: too long, or not UTF-8. */
export const textOf = (message: Uint8Array): string | undefined => {
  if (message.length > maximumMessageSize) return undefined
  try {
    return decoder.decode(message)
  } catch {
    return undefined
  }
}

/** "=2C" is ",", "=3D" is "="; undefined: another "=" (RFC 5802 section 5.1). */
const nameOf = (saslName: string): string | undefined => {
  if (saslName === "" || /=(?!2C|3D)/.test(saslName) || saslName.includes("\0")) return undefined
  return saslName.replaceAll("=2C", ",").replaceAll("=3D", "=")
}

const isNonce = (text: string): boolean => /^[\x21-\x2b\x2d-\x7e]+$/.test(text)

/** A text: what is wrong. */
export const readClientFirst = (text: string): ClientFirst | string => {
  const [, gs2Header, flag, authorization, bare] = /^(([^,]*),([^,]*),)(.*)$/s.exec(text) ?? []
  if (gs2Header === undefined || flag === undefined || bare === undefined) return "other-error"
  // We offer no mechanism with channel binding, so "y" is no downgrade, and "p" asks for what is not there.
  if (flag.startsWith("p=")) return "server-does-support-no-channel-binding"
  if (flag !== "n" && flag !== "y") return "other-error"
  const given = authorization === "" ? undefined : /^a=(.*)$/s.exec(authorization ?? "")?.[1]
  if (authorization !== "" && given === undefined) return "other-error"
  const authorizationName = given === undefined ? undefined : nameOf(given)
  if (given !== undefined && authorizationName === undefined) return "invalid-username-encoding"
  const [first = "", second = ""] = bare.split(",")
  if (first.startsWith("m=")) return "extensions-not-supported"
  if (!first.startsWith("n=")) return "other-error"
  const userName = nameOf(first.slice(2))
  if (userName === undefined) return "invalid-username-encoding"
  const nonce = second.slice(2)
  if (!second.startsWith("r=") || !isNonce(nonce)) return "other-error"
  return { gs2Header, authorizationName, userName, nonce, bare }
}

export const readClientFinal = (text: string): ClientFinal | string => {
  const [, withoutProof, encodedProof] = /^(.*),p=([^,]*)$/s.exec(text) ?? []
  if (withoutProof === undefined || encodedProof === undefined) return "other-error"
  const [binding = "", nonce = ""] = withoutProof.split(",")
  if (!binding.startsWith("c=") || !nonce.startsWith("r=")) return "other-error"
  const channelBinding = bytesOf(binding.slice(2))
  const proof = bytesOf(encodedProof)
  if (channelBinding === undefined || proof === undefined) return "invalid-encoding"
  return { channelBinding: channelBinding.toString("latin1"), nonce: nonce.slice(2), proof, withoutProof }
}

/** Base64 as the RFC wants it, with its padding and nothing else. */
const bytesOf = (text: string): Buffer | undefined => {
  const bytes = Buffer.from(text, "base64")
  return bytes.toString("base64") === text ? bytes : undefined
}
