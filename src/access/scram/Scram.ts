// SCRAM as the node offers it: which mechanisms, whose keys, and what somebody gets who is not there. One for all connections; a reload
// changes its settings. Invariant: an exchange that has begun goes on with the keys it began with.
import type { User } from "../users/User.ts"
import { ScramExchange } from "./ScramExchange.ts"
import { keysOfNobody, newNonce, type ScramMechanism } from "./ScramKeys.ts"

export interface ScramSettings {
  /** Offered, and made when a password is set. */
  readonly mechanisms: ReadonlyArray<ScramMechanism>
  readonly iterations: number
}

/** The kind of the record that has the secret. */
export const scramKind = "scram"

export class Scram {
  private readonly find: (name: string) => User | undefined
  /** Of now. */
  settings: ScramSettings
  /** See keysOfNobody: kept, so that their salts stay the same, and the same on all nodes of a cluster. */
  secret: Uint8Array

  constructor(settings: ScramSettings, find: (name: string) => User | undefined, secret: Uint8Array) {
    this.settings = settings
    this.find = find
    this.secret = secret
  }

  /** `method`: as CONNECT names it. Undefined: it is not offered. */
  begin(method: string): ScramExchange | undefined {
    const { iterations, mechanisms } = this.settings
    const mechanism = mechanisms.find((one) => one === method)
    if (mechanism === undefined) return undefined
    return new ScramExchange(mechanism, (name) => {
      const keys = this.find(name)?.scram.get(mechanism)
      return keys === undefined
        ? { keys: keysOfNobody(mechanism, name, iterations, this.secret), known: false }
        : { keys, known: true }
    }, newNonce())
  }

  /** The secret, as another node has it. */
  take(secret: Uint8Array | null): boolean {
    if (secret !== null) this.secret = secret
    return secret !== null
  }

  isSuperuser(name: string): boolean {
    return this.find(name)?.superuser === true
  }
}
