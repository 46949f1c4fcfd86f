// The client's end of SCRAM (RFC 5802), written apart from the server's: what a test sends, right or wrong.
import { createHash, createHmac, pbkdf2Sync } from "node:crypto"

const hashes = {
  "SCRAM-SHA-1": ["sha1", 20],
  "SCRAM-SHA-256": ["sha256", 32],
  "SCRAM-SHA-512": ["sha512", 64]
} as const

export type Mechanism = keyof typeof hashes

/** The last message, over the bare first one and the server's. */
export const clientFinal = (
  mechanism: Mechanism,
  password: string,
  bare: string,
  serverFirst: string,
  gs2Header = "n,,"
): string => {
  const [, nonce = "", salt = "", iterations = "1"] = /^r=(.*),s=(.*),i=(.*)$/.exec(serverFirst) ?? []
  const [name, size] = hashes[mechanism]
  const salted = pbkdf2Sync(password, Buffer.from(salt, "base64"), Number(iterations), size, name)
  const hmac = (key: Uint8Array, message: string) => createHmac(name, key).update(message).digest()
  const withoutProof = `c=${Buffer.from(gs2Header).toString("base64")},r=${nonce}`
  const clientKey = hmac(salted, "Client Key")
  const storedKey = createHash(name).update(clientKey).digest()
  const signature = hmac(storedKey, `${bare},${serverFirst},${withoutProof}`)
  const proof = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0))
  return `${withoutProof},p=${Buffer.from(proof).toString("base64")}`
}
