// The most used topics of Mosquitto's tree, below `$SYS/broker/`, so that its tools and exporters find what they look for. Pure. It has no node
// name in it: each node says it of itself, to its own clients. Invariant: a load is what Mosquitto means by it, an average per minute that
// forgets exponentially.
import type { Counters } from "../metrics/Counters.ts"
import { droppedOf, type Gauges, receivedOf } from "./Report.ts"

export type Texts = ReadonlyArray<readonly [name: string, payload: string]>

const minutes = [1, 5, 15] as const

/** Per minute, over the last 1, 5 and 15. */
class Load {
  private before = 0
  private readonly averages = [0, 0, 0]

  /** `seconds` have passed since the last time. */
  take(total: number, seconds: number): ReadonlyArray<number> {
    const perMinute = (total - this.before) * 60 / seconds
    this.before = total
    for (const [index, span] of minutes.entries()) {
      const kept = Math.exp(-seconds / (span * 60))
      this.averages[index] = perMinute + kept * ((this.averages[index] ?? 0) - perMinute)
    }
    return this.averages
  }
}

export interface MosquittoFigures extends Gauges {
  /** The most clients at a time. */
  readonly maximum: number
  readonly heapBytes: number
  readonly uptimeMillis: number
  readonly version: string
}

export class MosquittoTree {
  private readonly loads = new Map<string, Load>()

  /** `seconds` have passed since the last time. */
  topics(counters: Counters, figures: MosquittoFigures, seconds: number): Texts {
    const { clients, heapBytes, maximum, retained, sessions, sharedSubscriptions, subscriptions } = figures
    const disconnected = Math.max(0, sessions - clients)
    const published = counters.publishesSent
    const totals: ReadonlyArray<readonly [string, number]> = [
      ["bytes/received", counters.bytes_received_total],
      ["bytes/sent", counters.bytes_sent_total],
      ["messages/received", counters.packets_received_total],
      ["messages/sent", counters.packets_sent_total],
      ["publish/received", receivedOf(counters)],
      ["publish/sent", published],
      ["publish/dropped", droppedOf(counters)],
      ["connections", counters.clients_connected_total],
      ["sockets", counters.connections_opened_total]
    ]
    return [
      ["version", `emqttd version ${figures.version}`],
      ["uptime", `${Math.max(0, Math.floor(figures.uptimeMillis / 1000))} seconds`],
      ...numbers([
        ["bytes/received", counters.bytes_received_total],
        ["bytes/sent", counters.bytes_sent_total],
        ["clients/active", clients],
        ["clients/connected", clients],
        ["clients/disconnected", disconnected],
        ["clients/inactive", disconnected],
        ["clients/maximum", maximum],
        ["clients/total", sessions],
        ["connections/socket/count", counters.connections_opened_total - counters.connections_closed_total],
        ["heap/current", heapBytes],
        ["messages/received", counters.packets_received_total],
        ["messages/sent", counters.packets_sent_total],
        ["publish/messages/dropped", droppedOf(counters)],
        ["publish/messages/received", receivedOf(counters)],
        ["publish/messages/sent", published],
        ["retained messages/count", retained],
        ["shared_subscriptions/count", sharedSubscriptions],
        ["subscriptions/count", subscriptions]
      ]),
      ...totals.flatMap(([name, total]) =>
        this.load(name).take(total, seconds).map((average, index) =>
          [`load/${name}/${minutes[index]}min`, average.toFixed(2)] as const
        )
      )
    ]
  }

  private load(name: string): Load {
    let load = this.loads.get(name)
    if (load === undefined) this.loads.set(name, load = new Load())
    return load
  }
}

const numbers = (figures: ReadonlyArray<readonly [string, number]>): Texts =>
  figures.map(([name, value]) => [name, String(value)] as const)
