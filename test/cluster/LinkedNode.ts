// A node of a cluster in this process: real sockets on a port that the system chooses, its own clock that the test moves, and a part
// that writes down what it hears. Waits by letting turns of the event loop go by.
import { Effect, Scope } from "effect"
import type { BusPart, FrameKind, Peer } from "../../src/cluster/Bus.ts"
import { FrameKind as kinds } from "../../src/cluster/Bus.ts"
import { Cluster } from "../../src/cluster/Cluster.ts"
import { Links, type LinksOptions } from "../../src/cluster/links/Links.ts"
import { defaultSettings } from "../../src/config/Settings.ts"
import { Counters } from "../../src/metrics/Counters.ts"
import { EventLog } from "../../src/metrics/EventLog.ts"
import { Scheduler } from "../../src/otp/Scheduler.ts"
import { tcp } from "../../src/platform/runtimeTcp.ts"
import { loopTurn } from "../otp/turns.ts"

export interface LinkedOptions extends Partial<Pick<LinksOptions, "epoch" | "versions" | "tls" | "secrets">> {
  readonly settings?: Partial<LinksOptions["settings"]>
}

export class LinkedNode implements BusPart {
  readonly kinds = [kinds.Messages, kinds.RoutesDelta]
  readonly seen: Array<string> = []
  readonly logged: Array<string> = []
  readonly counters = new Counters()
  readonly links: Links
  readonly cluster: Cluster
  readonly scheduler: Scheduler
  now = 1_700_000_000_000
  port = 0
  /** Set, it is called for each frame in place of writing it down. */
  onFrame: ((peer: Peer, kind: FrameKind, body: Buffer) => void) | undefined
  private readonly scope = Scope.makeUnsafe()
  private timer: ReturnType<typeof setInterval> | undefined

  constructor(name: string, { settings, ...options }: LinkedOptions = {}) {
    this.scheduler = new Scheduler(() => this.now)
    const log = new EventLog(
      (_level, message, fields) => {
        const { address: _, ...rest } = fields
        this.logged.push(`${message} ${JSON.stringify(rest)}`)
      },
      () => this.now,
      10_000
    )
    this.links = new Links({
      settings: { ...defaultSettings.cluster, ...settings },
      secrets: ["s3cret"],
      name,
      epoch: this.now,
      scheduler: this.scheduler,
      counters: this.counters,
      log,
      wake: () => this.cluster.wake(),
      random: () => 0.5,
      ...options
    })
    this.cluster = new Cluster(this.scheduler, this.links).add(this)
  }

  async listen(address = "127.0.0.1"): Promise<this> {
    const options = { address, port: 0, backlog: 16 }
    const listening = tcp.listen(options, this.links.handlers).pipe(Effect.provideService(Scope.Scope, this.scope))
    this.port = (await Effect.runPromise(listening)).port
    return this
  }

  /** Its own time passes, 100 ms at each turn of a real 5 ms: only so that deadlines come. */
  live(): this {
    this.timer ??= setInterval(() => this.pass(100), 5)
    return this
  }

  pass(millis: number): void {
    this.now += millis
    this.cluster.onTimer()
  }

  call(other: LinkedNode): void {
    this.links.dialer.add([{ host: "127.0.0.1", port: other.port }], this.now)
    this.pass(100)
  }

  async close(): Promise<void> {
    if (this.timer !== undefined) clearInterval(this.timer)
    this.cluster.stop()
    await Effect.runPromise(Scope.close(this.scope, Effect.runSync(Effect.exit(Effect.void))))
  }

  linkUp(peer: Peer): void {
    this.seen.push(`up ${peer.name} v${peer.version}`)
  }

  linkDown(peer: Peer): void {
    this.seen.push(`down ${peer.name}`)
  }

  receive(peer: Peer, kind: FrameKind, body: Buffer): void {
    if (this.onFrame !== undefined) return this.onFrame(peer, kind, body)
    this.seen.push(`${peer.name}: ${body}`)
  }

  writable(peer: Peer): void {
    this.seen.push(`writable ${peer.name}`)
  }
}

export const until = async (done: () => boolean): Promise<void> => {
  while (!done()) await loopTurn()
}
