// What must be true of everything that clients were told and have received, whatever happened to the nodes meanwhile. Pure. One checker for all runs of
// test/cluster. Payloads are "publisher:serial", each is published once, serials grow.

export interface Published {
  readonly name: string
  readonly qos: 1 | 2
  /** Payloads that were acknowledged. */
  readonly acknowledged: ReadonlySet<string>
}

export interface Received {
  readonly name: string
  /** In the order in which they came, repetitions too. */
  readonly payloads: ReadonlyArray<string>
  readonly grantedQoS: 1 | 2
}

export interface Findings {
  /** Acknowledged and missing in a durable session. */
  readonly lost: ReadonlyArray<string>
  /** QoS 2 from end to end, and came more than once. */
  readonly doubled: ReadonlyArray<string>
  /** Acknowledged, and came first after a later one of the same publisher. */
  readonly disordered: ReadonlyArray<string>
}

export const check = (published: ReadonlyArray<Published>, received: ReadonlyArray<Received>): Findings => {
  const lost: Array<string> = []
  const doubled: Array<string> = []
  const disordered: Array<string> = []
  for (const { grantedQoS, name, payloads } of received) {
    const counts = new Map<string, number>()
    const highest = new Map<string, number>()
    const acknowledged = new Map(published.map((one) => [one.name, one.acknowledged]))
    for (const payload of payloads) {
      const before = counts.get(payload) ?? 0
      counts.set(payload, before + 1)
      const [publisher = "", serial] = payload.split(":")
      if (before > 0 || acknowledged.get(publisher)?.has(payload) !== true) continue
      const last = highest.get(publisher) ?? 0
      if (Number(serial) < last) disordered.push(`${name}: ${payload} after ${last}`)
      else highest.set(publisher, Number(serial))
    }
    for (const { acknowledged, name: publisher, qos } of published) {
      for (const payload of acknowledged) if (!counts.has(payload)) lost.push(`${name}: ${payload}`)
      if (qos !== 2 || grantedQoS !== 2) continue
      for (const [payload, count] of counts) {
        if (count > 1 && payload.startsWith(`${publisher}:`)) doubled.push(`${name}: ${payload} x ${count}`)
      }
    }
  }
  return { lost, doubled, disordered }
}

export const nothing: Findings = { lost: [], doubled: [], disordered: [] }
