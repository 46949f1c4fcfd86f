// Who has come to a door and is not in yet: connections before the CONNACK that accepts them, counted in all and by network. Plain;
// the overload judge asks, the listeners tell. Invariant: the numbers are those of the connections that `begin` named and `end` did not.

export class Handshakes {
  private readonly networks = new Map<object, string>()
  private readonly counts = new Map<string, number>()

  get size(): number {
    return this.networks.size
  }

  /** `network`: of `networkKey`; "" is not counted by network. */
  begin(connection: object, network: string): void {
    this.networks.set(connection, network)
    if (network !== "") this.counts.set(network, this.from(network) + 1)
  }

  /** Accepted, or gone; the second time nothing. */
  end(connection: object): void {
    const network = this.networks.get(connection)
    if (network === undefined) return
    this.networks.delete(connection)
    if (network === "") return
    const left = this.from(network) - 1
    if (left > 0) this.counts.set(network, left)
    else this.counts.delete(network)
  }

  from(network: string): number {
    return this.counts.get(network) ?? 0
  }
}
