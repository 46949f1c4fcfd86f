// The QoS 1 and 2 messages that a session has given a packet identifier and whose exchange is not finished.
// Owned by one session. Invariant: an identifier names at most one entry, and an entry leaves only when the client
// has finished its exchange (or the session ends).
import type { Message } from "../mqtt/Message.ts"
import type { QoS } from "../mqtt/Packet.ts"
import type { Route } from "../router/Route.ts"
import type { DurableDelivery } from "../store/DurableDelivery.ts"

/** What the session waits for from the client. */
export const ExchangeState = { Free: 0, AwaitingPuback: 1, AwaitingPubrec: 2, AwaitingPubcomp: 3 } as const
export type ExchangeState = (typeof ExchangeState)[keyof typeof ExchangeState]

/** One exchange. Entries are reused: `message` is null once the message itself is no longer needed (after PUBREC). */
export class InflightEntry {
  packetIdentifier = 0
  state: ExchangeState = ExchangeState.Free
  qos: QoS = 1
  retain = false
  /** True while it counts against the window of the connection that is there now. */
  sent = false
  /** Grows with each entry: the order in which messages were first sent [MQTT-4.6.0-1]. */
  order = 0
  sentAt = 0
  message: Message | null = null
  route: Route | null = null
  /** It has gone out on some connection: sent again it has DUP, and the client may acknowledge it. */
  written = false
  /** What the store has of it; null: nothing. */
  record: DurableDelivery | null = null
  /** The group that has to be committed before the next packet of this exchange goes out. */
  group = 0
}

const initialSlots = 8
/** Never written to: what a window without exchanges stands on. */
const noSlots: Array<InflightEntry> = []

/**
 * Entries live in a table indexed by the low bits of their identifier, so that lookup is one array read; an
 * identifier whose slot is taken is passed over. `capacity` is the most exchanges at a time, 1 to 65,535.
 */
export class InflightWindow {
  readonly capacity: number
  /** Exchanges under way, whether sent on the present connection or not. */
  size = 0
  private slots: Array<InflightEntry>
  private lastIdentifier = 0
  private nextOrder = 1

  constructor(capacity: number) {
    this.capacity = Math.max(1, Math.min(capacity, 65_535))
    this.slots = noSlots
  }

  get isFull(): boolean {
    return this.size >= this.capacity
  }

  /**
   * Opens an exchange under an identifier that is not in use [MQTT-2.3.1-4] [MQTT5-2.2.1-4]. The caller has looked at `isFull`.
   */
  open(message: Message, route: Route | null, qos: 1 | 2, retain: boolean, now: number): InflightEntry {
    if (this.size >= this.slots.length >> 1) this.grow()
    const mask = this.slots.length - 1
    let identifier = this.lastIdentifier
    let entry: InflightEntry | undefined
    do {
      identifier = identifier === 65_535 ? 1 : identifier + 1
      entry = this.slots[identifier & mask]
    } while (entry === undefined || entry.state !== ExchangeState.Free)
    this.lastIdentifier = identifier
    this.size++
    entry.packetIdentifier = identifier
    entry.state = qos === 1 ? ExchangeState.AwaitingPuback : ExchangeState.AwaitingPubrec
    entry.qos = qos
    entry.retain = retain
    entry.sent = true
    entry.order = this.nextOrder++
    entry.sentAt = now
    entry.message = message
    entry.route = route
    entry.written = false
    entry.record = null
    entry.group = 0
    return entry
  }

  /** An exchange that was under way before a restart, oldest first. Undefined: its identifier is in use. */
  restore(message: Message, route: Route, record: DurableDelivery): InflightEntry | undefined {
    const { packetIdentifier } = record
    if (this.get(packetIdentifier) !== undefined) return undefined
    let entry: InflightEntry | undefined
    for (;;) {
      entry = this.slots[packetIdentifier & (this.slots.length - 1)]
      if (entry !== undefined && entry.state === ExchangeState.Free) break
      this.grow()
    }
    this.size++
    this.lastIdentifier = packetIdentifier
    entry.packetIdentifier = packetIdentifier
    entry.state = record.state as ExchangeState
    entry.qos = record.qos
    entry.retain = record.retain
    entry.sent = false
    entry.order = this.nextOrder++
    entry.sentAt = 0
    entry.message = entry.state === ExchangeState.AwaitingPubcomp ? null : message
    entry.route = route
    entry.written = true
    entry.record = record
    entry.group = 0
    return entry
  }

  get(packetIdentifier: number): InflightEntry | undefined {
    const entry = this.slots[packetIdentifier & (this.slots.length - 1)]
    return entry !== undefined && entry.state !== ExchangeState.Free && entry.packetIdentifier === packetIdentifier
      ? entry
      : undefined
  }

  close(entry: InflightEntry): void {
    entry.state = ExchangeState.Free
    entry.message = null
    entry.route = null
    entry.record = null
    entry.sent = false
    this.size--
  }

  /** All exchanges, oldest first. Costs a sort: for reconnects, not for packets. */
  inOrder(): Array<InflightEntry> {
    return this.slots.filter((entry) => entry.state !== ExchangeState.Free).sort((a, b) => a.order - b.order)
  }

  private grow(): void {
    const old = this.slots
    const length = Math.max(initialSlots, old.length * 2)
    const mask = length - 1
    const slots: Array<InflightEntry | undefined> = new Array(length).fill(undefined)
    for (const entry of old) {
      if (entry.state !== ExchangeState.Free) slots[entry.packetIdentifier & mask] = entry
    }
    this.slots = slots.map((entry) => entry ?? new InflightEntry())
  }
}
