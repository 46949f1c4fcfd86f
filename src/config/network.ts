// Networks of addresses, as settings write them: `10.0.0.0/8`, `fd00::/8`, or an address alone. Pure. Invariant: an IPv4 address that
// came over an IPv6 socket is judged as the IPv4 address it is.
import { Result } from "effect"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"

/** Undefined: it is no network. */
export const networkOf = (text: string): IpNetwork.IpNetwork | undefined => {
  const whole = text.includes("/") ? text : `${text}/${text.includes(":") ? 128 : 32}`
  return Result.getOrUndefined(IpNetwork.fromString(whole))
}

export type Networks = ReadonlyArray<IpNetwork.IpNetwork>

/** What is no network is left out: the settings were checked. */
export const networksOf = (texts: ReadonlyArray<string>): Networks => {
  const found: Array<IpNetwork.IpNetwork> = []
  for (const text of texts) {
    const network = networkOf(text)
    if (network !== undefined) found.push(network)
  }
  return found
}

/** `address` as a socket gives it; what is no address is in no network. */
export const isWithin = (networks: Networks, address: string): boolean => {
  if (networks.length === 0) return false
  const plain = /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(address) ? address.slice("::ffff:".length) : address
  const ip = Result.getOrUndefined(NetAddress.ipFromString(plain.replace(/%.*$/, "")))
  return ip !== undefined && networks.some((network) => IpNetwork.contains(network, ip))
}
