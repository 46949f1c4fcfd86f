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
  /** Payloads whose QoS 2 exchange was open when the client was told that its session is gone: each may come once more for each time. */
  readonly unsure?: ReadonlyArray<string>
  /** How often the client was told that its session is gone. What two sessions were owed may come twice. */
  readonly losses?: number
  /** From so many places it may have been sent what it is owed: its session, and each that was merged into it later. Within each order is kept. */
  readonly streams?: number
}

export interface Findings {
  /** Acknowledged and missing in a durable session. */
  readonly lost: ReadonlyArray<string>
  /** QoS 2 from end to end, and came more than once. */
  readonly doubled: ReadonlyArray<string>
  /** Acknowledged, and came first after a later one of the same publisher. */
  readonly disordered: ReadonlyArray<string>
}

/** To the run whose end is nearest below it. 0: there is one; else the end that it should have come before. */
const appended = (runs: Map<string, Array<number>>, publisher: string, serial: number, most: number): number => {
  const ends = runs.get(publisher) ?? []
  runs.set(publisher, ends)
  let best = -1
  ends.forEach((end, index) => {
    if (end < serial && (best < 0 || end > (ends[best] ?? 0))) best = index
  })
  if (best >= 0) ends[best] = serial
  else if (ends.length < most) ends.push(serial)
  else return Math.min(...ends)
  return 0
}

export const check = (published: ReadonlyArray<Published>, received: ReadonlyArray<Received>): Findings => {
  const lost: Array<string> = []
  const doubled: Array<string> = []
  const disordered: Array<string> = []
  for (const { grantedQoS, losses = 0, name, payloads, streams = 1, unsure = [] } of received) {
    const counts = new Map<string, number>()
    const runs = new Map<string, Array<number>>()
    const acknowledged = new Map(published.map((one) => [one.name, one.acknowledged]))
    for (const payload of payloads) {
      const before = counts.get(payload) ?? 0
      counts.set(payload, before + 1)
      const [publisher = "", serial] = payload.split(":")
      if (before > 0 || acknowledged.get(publisher)?.has(payload) !== true) continue
      const late = appended(runs, publisher, Number(serial), streams)
      if (late > 0) disordered.push(`${name}: ${payload} after ${late}`)
    }
    for (const payload of unsure) counts.set(payload, Math.max(1, (counts.get(payload) ?? 0) - 1))
    for (const { acknowledged, name: publisher, qos } of published) {
      for (const payload of acknowledged) if (!counts.has(payload)) lost.push(`${name}: ${payload}`)
      if (qos !== 2 || grantedQoS !== 2 || losses > 0) continue
      for (const [payload, count] of counts) {
        if (count > 1 && payload.startsWith(`${publisher}:`)) doubled.push(`${name}: ${payload} x ${count}`)
      }
    }
  }
  return { lost, doubled, disordered }
}

export const nothing: Findings = { lost: [], doubled: [], disordered: [] }
