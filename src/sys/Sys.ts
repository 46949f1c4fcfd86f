// The actor that publishes what this node says of itself under `$SYS`. It wakes once a heartbeat, looks for new highest values, and publishes only
// where somebody may have subscribed; what is retained is kept by the retainer apart from all else, in this process alone. Invariants: a
// topic of a node is published by that node, topics without a node name by each to its own clients; nothing here waits for anybody.
import { Buffer } from "node:buffer"
import type { SysSettings } from "../config/Settings.ts"
import type { Counters } from "../metrics/Counters.ts"
import { Message } from "../mqtt/Message.ts"
import { levelsOf } from "../mqtt/Topic.ts"
import { TopicName } from "../mqtt/TopicTable.ts"
import { Actor } from "../otp/Actor.ts"
import type { Scheduler } from "../otp/Scheduler.ts"
import type { Timer, TimerWheel } from "../otp/TimerWheel.ts"
import type { Retainer } from "../retain/Retainer.ts"
import type { Router } from "../router/Router.ts"
import type { Timed } from "../session/Services.ts"
import { MosquittoTree } from "./mosquittoTree.ts"
import { datetimeText, type Gauges, metricsOf, Peaks, uptimeText } from "./Report.ts"

/** What a node says of itself that others keep for it. */
export interface NodeFacts {
  readonly version: string
  readonly description: string
}

export interface SysOptions extends NodeFacts {
  readonly scheduler: Scheduler
  readonly wheel: TimerWheel<Timed>
  readonly router: Router
  readonly retainer: Retainer
  readonly counters: Counters
  readonly settings: SysSettings
  /** Its name. */
  readonly node: string
  readonly gauges: () => Gauges
  readonly heapBytes: () => number
  /** Names of the nodes that run, this one among them. */
  readonly running: () => ReadonlyArray<string>
  /** Whether there may be other nodes. */
  readonly clustered: boolean
}

export const nodePrefix = (node: string): string => `$SYS/brokers/${node}/`

export class Sys extends Actor implements Timed {
  private readonly options: SysOptions
  private readonly prefix: string
  private readonly peaks = new Peaks()
  private readonly mosquitto: MosquittoTree | null
  private readonly names = new Map<string, TopicName>()
  /** Of other nodes, by their names. */
  private readonly facts = new Map<string, NodeFacts | undefined>()
  private readonly startedAt: number
  private timer: Timer<Timed> | undefined
  private beatAt: number
  private reportAt: number
  private reportedAt: number
  private told = ""
  /** The members have changed. */
  private membersDue = true

  constructor(options: SysOptions) {
    super("sys", options.scheduler)
    this.options = options
    this.prefix = nodePrefix(options.node)
    this.mosquitto = options.settings.mosquitto ? new MosquittoTree() : null
    const now = options.scheduler.refresh()
    this.startedAt = this.reportedAt = now
    this.beatAt = now + options.settings.heartbeatMillis
    this.reportAt = now + options.settings.intervalMillis
    // What is retained is there before the first client.
    this.keep(this.info("version", options.version))
    this.keep(this.info("sysdescr", options.description))
    if (this.mosquitto !== null) { for (const message of this.mosquittoMessages(now)) this.keep(message) }
    this.tellMembers(now)
    this.arm()
  }

  onTimer(): void {
    this.wake()
  }

  /** Others have come or gone. */
  membersChanged(): void {
    this.membersDue = true
    this.wake()
  }

  /** Another node says this of itself; undefined: it is no member any more. */
  learned(node: string, facts: NodeFacts | undefined): void {
    this.facts.set(node, facts)
    this.wake()
  }

  protected override receive(): void {
    const { now } = this.scheduler
    if (this.facts.size > 0) this.takeFacts()
    if (this.membersDue) this.tellMembers(now)
    if (now >= this.beatAt) this.beat(now)
    if (now >= this.reportAt) this.report(now)
    this.arm()
  }

  private arm(): void {
    const next = Math.min(this.beatAt, this.reportAt)
    if (this.timer === undefined) this.timer = this.options.wheel.schedule(next, this)
    else this.options.wheel.reschedule(this.timer, next)
  }

  private beat(now: number): void {
    const { gauges, router, settings } = this.options
    // First, so that a defect in what follows comes once a heartbeat at most.
    this.beatAt = now + settings.heartbeatMillis
    this.peaks.look(gauges())
    if (!router.wantsSystem) return
    this.say("uptime", uptimeText(now - this.startedAt))
    this.say("datetime", datetimeText(now))
  }

  private report(now: number): void {
    const { counters, gauges, router, settings } = this.options
    this.reportAt = now + settings.intervalMillis
    if (this.mosquitto !== null) {
      for (const message of this.mosquittoMessages(now)) {
        this.keep(message)
        this.sayHere(message)
      }
    }
    if (!router.wantsSystem) return
    this.sayHere(this.brokersMessage(this.told))
    router.publish(this.info("version", this.options.version))
    router.publish(this.info("sysdescr", this.options.description))
    const current = gauges()
    for (const [name, value] of this.peaks.stats(current)) this.say(`stats/${name}`, String(value))
    for (const [name, value] of metricsOf(counters, current)) this.say(`metrics/${name}`, String(value))
  }

  /** `$SYS/brokers`: at once when it is another list than before. */
  private tellMembers(now: number): void {
    this.membersDue = false
    const names = this.options.running().join(",")
    if (names === this.told) return
    this.told = names
    const message = this.brokersMessage(names)
    this.keep(message)
    if (now > this.startedAt) this.sayHere(message)
  }

  private takeFacts(): void {
    for (const [node, facts] of this.facts) {
      if (node === this.options.node) continue
      for (const [name, text] of [["version", facts?.version], ["sysdescr", facts?.description]] as const) {
        this.keep(this.message(new TopicName(nodePrefix(node) + name, 4), text ?? "", true))
      }
    }
    this.facts.clear()
  }

  private mosquittoMessages(now: number): ReadonlyArray<Message> {
    const { counters, gauges, heapBytes, version } = this.options
    const current = gauges()
    this.peaks.look(current)
    const figures = {
      ...current,
      maximum: this.peaks.of("clients"),
      heapBytes: heapBytes(),
      uptimeMillis: now - this.startedAt,
      version
    }
    const seconds = Math.max(1, (now - this.reportedAt) / 1000)
    this.reportedAt = now
    const topics = this.mosquitto?.topics(counters, figures, seconds) ?? []
    return topics.map(([name, payload]) => this.message(this.nameOf(`$SYS/broker/${name}`), payload, true))
  }

  private brokersMessage(names: string): Message {
    return this.message(this.nameOf("$SYS/brokers"), names, true)
  }

  private info(name: string, payload: string): Message {
    return this.message(this.nameOf(this.prefix + name), payload, true)
  }

  private message(topic: TopicName, payload: string, retain: boolean): Message {
    const { now } = this.scheduler
    return Message.make({
      topic,
      payload: Buffer.from(payload),
      qos: 0,
      retain,
      publisher: "",
      properties: null,
      now
    })
  }

  private nameOf(topic: string): TopicName {
    let name = this.names.get(topic)
    if (name === undefined) this.names.set(topic, name = new TopicName(topic, levelsOf(topic)))
    return name
  }

  private keep(message: Message): void {
    this.options.retainer.keepSystem(message)
  }

  /** To whoever has subscribed, on any node. */
  private say(name: string, payload: string): void {
    const { router } = this.options
    const topic = this.nameOf(this.prefix + name)
    if (router.concerns(topic)) router.publish(this.message(topic, payload, false))
  }

  /** Every node says the same: to the clients of this one alone. */
  private sayHere(message: Message): void {
    const { clustered, router } = this.options
    if (clustered) router.publishHere(message)
    else router.publish(message)
  }
}
