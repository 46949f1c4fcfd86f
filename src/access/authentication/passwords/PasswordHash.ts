// What is kept of a password: read from text, written as text, made anew. Plain data; `verifyPassword` compares. Invariants: what a hash
// may cost is bounded, so that a file cannot stop the broker; text that is no hash is never taken for a password in the clear.
import { randomBytes } from "node:crypto"

export type PasswordHash =
  /** Mosquitto before 1.6: SHA-512 of the password and the salt, once. */
  | { readonly _tag: "Sha512"; readonly salt: Uint8Array; readonly hash: Uint8Array }
  | {
    readonly _tag: "Pbkdf2"
    readonly digest: "sha256" | "sha512"
    readonly iterations: number
    readonly salt: Uint8Array
    readonly hash: Uint8Array
    /** Written as Mosquitto does, `$7$…`. */
    readonly mosquitto: boolean
  }
  | {
    readonly _tag: "Scrypt"
    /** N is 2 to this power. */
    readonly logN: number
    readonly blockSize: number
    readonly parallelism: number
    readonly salt: Uint8Array
    readonly hash: Uint8Array
  }
  | {
    readonly _tag: "Argon2id"
    readonly memoryKiB: number
    readonly passes: number
    readonly parallelism: number
    readonly salt: Uint8Array
    readonly hash: Uint8Array
  }
  /** As it stands in the file: `$2b$…`. */
  | { readonly _tag: "Bcrypt"; readonly text: string }

const fromBase64 = (text: string): Uint8Array | undefined => {
  const plain = text.replaceAll(".", "+").replace(/=+$/, "")
  if (!/^[A-Za-z0-9+/]+$/.test(plain)) return undefined
  return new Uint8Array(Buffer.from(plain, "base64"))
}
const unpadded = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64").replace(/=+$/, "")
const padded = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

const inRange = (text: string | undefined, minimum: number, maximum: number): number | undefined => {
  if (text === undefined || !/^\d{1,9}$/.test(text)) return undefined
  const value = Number(text)
  return value >= minimum && value <= maximum ? value : undefined
}

/** Iterations of PBKDF2; the costs below are about as much work at the most: a second or two. */
export const maxIterations = 10_000_000
const maxMemoryKiB = 262_144

const saltAndHash = (salt: string | undefined, hash: string | undefined, length?: number) => {
  const bytes = { salt: fromBase64(salt ?? ""), hash: fromBase64(hash ?? "") }
  if (bytes.salt === undefined || bytes.hash === undefined) return undefined
  if (bytes.hash.length < 16 || bytes.hash.length > 128 || bytes.salt.length > 128) return undefined
  return length !== undefined && bytes.hash.length !== length ? undefined : { salt: bytes.salt, hash: bytes.hash }
}

const options = (text: string | undefined): ReadonlyMap<string, string> =>
  new Map(
    (text ?? "").split(",").map((pair) => {
      const [name = "", value = ""] = pair.split("=")
      return [name, value] as const
    })
  )

/** Undefined: no hash of a kind that we know, or one that costs too much. */
export const parsePasswordHash = (text: string): PasswordHash | undefined => {
  if (/^\$2[abxy]\$(?:0[4-9]|1[0-6])\$[./A-Za-z0-9]{53}$/.test(text)) return { _tag: "Bcrypt", text }
  const parts = text.split("$")
  if (parts[0] !== "") return undefined
  const [, kind, ...rest] = parts
  switch (kind) {
    case "6": {
      const bytes = saltAndHash(rest[0], rest[1], 64)
      return bytes === undefined || rest.length !== 2 ? undefined : { _tag: "Sha512", ...bytes }
    }
    case "7": {
      const iterations = inRange(rest[0], 1, maxIterations)
      const bytes = saltAndHash(rest[1], rest[2], 64)
      if (iterations === undefined || bytes === undefined || rest.length !== 3) return undefined
      return { _tag: "Pbkdf2", digest: "sha512", iterations, mosquitto: true, ...bytes }
    }
    case "pbkdf2-sha256":
    case "pbkdf2-sha512": {
      // Also as passlib writes it, with the bare number.
      const iterations = inRange(options(rest[0]).get("i") ?? rest[0], 1, maxIterations)
      const bytes = saltAndHash(rest[1], rest[2])
      if (iterations === undefined || bytes === undefined || rest.length !== 3) return undefined
      const digest = kind === "pbkdf2-sha256" ? "sha256" : "sha512"
      return { _tag: "Pbkdf2", digest, iterations, mosquitto: false, ...bytes }
    }
    case "scrypt": {
      const given = options(rest[0])
      const logN = inRange(given.get("ln"), 1, 20)
      const blockSize = inRange(given.get("r"), 1, 32)
      const parallelism = inRange(given.get("p"), 1, 16)
      const bytes = saltAndHash(rest[1], rest[2])
      if (logN === undefined || blockSize === undefined || parallelism === undefined) return undefined
      if (bytes === undefined || rest.length !== 3 || blockSize * 2 ** logN / 8 > maxMemoryKiB) return undefined
      return { _tag: "Scrypt", logN, blockSize, parallelism, ...bytes }
    }
    case "argon2id": {
      const given = options(rest[1])
      const memoryKiB = inRange(given.get("m"), 8, maxMemoryKiB)
      const passes = inRange(given.get("t"), 1, 32)
      const parallelism = inRange(given.get("p"), 1, 16)
      const bytes = saltAndHash(rest[2], rest[3])
      if (memoryKiB === undefined || passes === undefined || parallelism === undefined) return undefined
      if (bytes === undefined || rest.length !== 4 || rest[0] !== "v=19") return undefined
      return { _tag: "Argon2id", memoryKiB, passes, parallelism, ...bytes }
    }
    default:
      return undefined
  }
}

export const formatPasswordHash = (hash: PasswordHash): string => {
  switch (hash._tag) {
    case "Sha512":
      return `$6$${padded(hash.salt)}$${padded(hash.hash)}`
    case "Pbkdf2":
      return hash.mosquitto
        ? `$7$${hash.iterations}$${padded(hash.salt)}$${padded(hash.hash)}`
        : `$pbkdf2-${hash.digest}$i=${hash.iterations}$${unpadded(hash.salt)}$${unpadded(hash.hash)}`
    case "Scrypt":
      return `$scrypt$ln=${hash.logN},r=${hash.blockSize},p=${hash.parallelism}$${unpadded(hash.salt)}$${
        unpadded(hash.hash)
      }`
    case "Argon2id":
      return `$argon2id$v=19$m=${hash.memoryKiB},t=${hash.passes},p=${hash.parallelism}$${unpadded(hash.salt)}$${
        unpadded(hash.hash)
      }`
    case "Bcrypt":
      return hash.text
    default:
      return hash satisfies never
  }
}

/** Costs what `hash` costs and fits no password: what a user is checked against who is not there. */
export const decoyOf = (hash: PasswordHash): PasswordHash => {
  if (hash._tag === "Bcrypt") {
    const random = randomBytes(40).toString("base64").replaceAll("+", ".").slice(0, 53)
    return { _tag: "Bcrypt", text: hash.text.slice(0, 7) + random }
  }
  return { ...hash, salt: randomBytes(hash.salt.length), hash: randomBytes(hash.hash.length) }
}

export const algorithms = ["pbkdf2-sha256", "pbkdf2-sha512", "scrypt", "argon2id", "mosquitto"] as const
export type Algorithm = typeof algorithms[number]

/** Mosquitto 2.0 takes 12 bytes and no other number. */
const newSalt = (algorithm: Algorithm) => randomBytes(algorithm === "mosquitto" ? 12 : 16)
const nothing = new Uint8Array(0)

/**
 * A hash to be, without its bytes. What it costs: PBKDF2 some 10 to 40 ms here, scrypt (16 MiB) and argon2id (19 MiB) as much. "mosquitto"
 * is what Mosquitto 2 reads. `iterations` is for PBKDF2.
 */
export const templateFor = (algorithm: Algorithm, iterations: number): PasswordHash => {
  const blank = { salt: newSalt(algorithm), hash: nothing }
  switch (algorithm) {
    case "pbkdf2-sha256":
      return { _tag: "Pbkdf2", digest: "sha256", iterations, mosquitto: false, ...blank }
    case "pbkdf2-sha512":
      return { _tag: "Pbkdf2", digest: "sha512", iterations, mosquitto: false, ...blank }
    case "mosquitto":
      return { _tag: "Pbkdf2", digest: "sha512", iterations, mosquitto: true, ...blank }
    case "scrypt":
      return { _tag: "Scrypt", logN: 14, blockSize: 8, parallelism: 1, ...blank }
    case "argon2id":
      return { _tag: "Argon2id", memoryKiB: 19_456, passes: 2, parallelism: 1, ...blank }
    default:
      return algorithm satisfies never
  }
}
