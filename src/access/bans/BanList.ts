// Who is banned, found by client id, user name or address in the time of a few map look-ups, however many bans there are. Pure; Bans.ts keeps
// it, stores it and tells the operator. Invariants: a ban that has ended holds for nobody, whether or not it was taken out; there is at
// most one ban of one thing.
import { addressBytes, AddressRange } from "../rules/AddressRange.ts"
import { type Ban, banKey, type BanKind, maskedBytes } from "./Ban.ts"

/** Whom it is asked about; what is undefined is not looked at. */
export interface Banned {
  readonly clientId: string | undefined
  readonly userName: string | undefined
  /** As the socket gives it. */
  readonly address: string | undefined
}

export class BanList {
  private readonly bans = new Map<string, Ban>()
  /** By the length of the address in bytes and of the prefix in bits, each used one; in it by the bytes of the network. */
  private readonly networks = new Map<number, Map<string, Ban>>()

  get size(): number {
    return this.bans.size
  }

  /** Whether any address is banned: else none needs to be looked at. */
  get hasAddresses(): boolean {
    return this.networks.size > 0
  }

  get(kind: BanKind, value: string): Ban | undefined {
    return this.bans.get(banKey({ kind, value }))
  }

  /** In the order in which they were put in. */
  values(): Iterable<Ban> {
    return this.bans.values()
  }

  /** Replaces the one of the same thing. Its value is of `banValue`. */
  put(ban: Ban): void {
    this.bans.set(banKey(ban), ban)
    const place = placeOf(ban)
    if (place === undefined) return
    const [size, network] = place
    const there = this.networks.get(size)
    if (there === undefined) this.networks.set(size, new Map([[network, ban]]))
    else there.set(network, ban)
  }

  /** Undefined: there was none. */
  delete(kind: BanKind, value: string): Ban | undefined {
    const ban = this.get(kind, value)
    if (ban === undefined) return undefined
    this.bans.delete(banKey(ban))
    const place = placeOf(ban)
    if (place === undefined) return ban
    const [size, network] = place
    const there = this.networks.get(size)
    there?.delete(network)
    if (there?.size === 0) this.networks.delete(size)
    return ban
  }

  /** The ban that keeps it out at `now`; undefined: none. */
  find({ address, clientId, userName }: Banned, now: number): Ban | undefined {
    if (this.bans.size === 0) return undefined
    const byClientId = clientId === undefined ? undefined : this.get("client_id", clientId)
    if (byClientId !== undefined && now < byClientId.until) return byClientId
    const byUserName = userName === undefined ? undefined : this.get("user_name", userName)
    if (byUserName !== undefined && now < byUserName.until) return byUserName
    return address === undefined || !this.hasAddresses ? undefined : this.findAddress(address, now)
  }

  /** Takes those out that have ended; gives them back. */
  expire(now: number): ReadonlyArray<Ban> {
    const ended = [...this.bans.values()].filter(({ until }) => until <= now)
    for (const { kind, value } of ended) this.delete(kind, value)
    return ended
  }

  private findAddress(address: string, now: number): Ban | undefined {
    const bytes = addressBytes(address)
    if (bytes === undefined) return undefined
    for (const [size, networks] of this.networks) {
      if (size >> 8 !== bytes.length) continue
      const ban = networks.get(networkText(bytes, size & 0xff))
      if (ban !== undefined && now < ban.until) return ban
    }
    return undefined
  }
}

/** Undefined: it is about no address. */
const placeOf = ({ kind, value }: Ban): readonly [size: number, network: string] | undefined => {
  const range = kind === "address" ? AddressRange.parse(value) : undefined
  return range === undefined ? undefined : [range.bytes.length << 8 | range.bits, networkText(range.bytes, range.bits)]
}

const networkText = (bytes: ReadonlyArray<number>, bits: number): string =>
  String.fromCharCode(...maskedBytes(bytes, bits))
