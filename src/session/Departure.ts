// A session on its way to another node: its client is gone, it takes in what it is owed as before, and what it is owed is read out page by page, from the
// store where it is durable, else from memory. Made by the Session in its turn, used by the cluster. Invariants: a page has nothing that an
// earlier one had; until `finish` the session is whole and can stay after all.
import { Message } from "../mqtt/Message.ts"
import type { Route } from "../router/Route.ts"
import { DeliveryState, hasMore, type StoredDelivery } from "../store/Engine.ts"
import { contentOf } from "../store/storedMessage.ts"
import { whenCommitted } from "../store/whenCommitted.ts"
import type { SessionCommand } from "./ClientLink.ts"
import type { DurableState } from "./DurableState.ts"
import type { Outgoing } from "./Outgoing.ts"
import type { Delivery } from "./OutgoingQueue.ts"
import type { SessionDeparture, SessionHead } from "./RemoteSessions.ts"
import type { Services } from "./Services.ts"

const pageSize = 128

/** The session, as its departure sees it. */
export interface Departing {
  readonly durable: DurableState | null
  readonly outgoing: Outgoing
  command(command: SessionCommand): void
  /** It ends without its will, without handing anything over: all of it is elsewhere. Returns the group of its end. */
  departed(): number
  /** Null: it takes in what comes from anywhere. At once, in any turn. */
  accepts: ((origin: string) => boolean) | null
  /** It stays: a client may attach again. `done`: in a turn of the registry, which has it again. */
  stay(done: () => void): void
}

/** What it does it does in the session's turn; a session that has ended meanwhile answers nothing. */
export class Departure implements SessionDeparture {
  readonly head: SessionHead
  readonly session: number
  private readonly departing: Departing
  private readonly services: Services
  /** The sequence of the last delivery that was read out, in a durable session. */
  private after = 0
  /** Read out up to here. */
  private marked: number
  /** In memory: the last one that was read out, and whether there was a first page. */
  private last: Delivery | undefined
  private begun = false
  private over = false

  constructor(head: SessionHead, session: Departing, services: Services) {
    this.head = head
    this.session = session.durable?.number ?? 0
    this.departing = session
    this.services = services
    this.marked = session.durable?.lastSequence ?? 0
  }

  read(reply: (page: ReadonlyArray<StoredDelivery>, more: boolean) => void): void {
    this.step(() => {
      const { durable } = this.departing
      if (durable === null) return reply(this.readMemory(), false)
      const { journal, reads } = this.services
      const { lastSequence } = durable
      whenCommitted(journal, Math.max(durable.changedIn, durable.deliveredIn), () =>
        reads.request({
          session: durable.number,
          after: this.after,
          limit: pageSize,
          reply: (rows) => {
            const read = rows[rows.length - 1]?.sequence ?? 0
            // The rest was done with before it was written.
            this.after = Math.max(this.after, read, hasMore(rows, pageSize) ? 0 : lastSequence)
            reply(rows, this.after < this.marked)
          }
        }))
    })
  }

  mark(): void {
    this.step(() => (this.marked = this.departing.durable?.lastSequence ?? 0))
  }

  accepts(origin: (name: string) => boolean): void {
    if (!this.over) this.departing.accepts = origin
  }

  finish(done?: (group: number) => void): void {
    this.step(() => {
      this.over = true
      const group = this.departing.departed()
      done?.(group)
    })
  }

  /** Whoever was to have it does not answer: the session stays as it is. */
  abort(done: () => void): void {
    this.step(() => {
      this.over = true
      this.departing.stay(done)
    })
  }

  private step(run: () => void): void {
    this.departing.command({
      _tag: "Step",
      run: () => {
        if (!this.over) run()
      }
    })
  }

  private readMemory(): ReadonlyArray<StoredDelivery> {
    const { outgoing } = this.departing
    const rows: Array<StoredDelivery> = []
    if (!this.begun) {
      this.begun = true
      for (const { message, packetIdentifier, qos, retain, route, state } of outgoing.inflight.inOrder()) {
        if (qos === 0) continue
        rows.push(rowOf(message ?? acknowledged, route, qos, retain, state as DeliveryState, packetIdentifier))
      }
    }
    const queued = outgoing.queue.toArray()
    for (const delivery of queued.slice(this.last === undefined ? 0 : queued.indexOf(this.last) + 1)) {
      const { message, route } = delivery
      const qos = message.qos < route.qos ? message.qos : route.qos
      this.last = delivery
      if (qos === 0) continue
      rows.push(rowOf(message, route, qos, route.retainAsPublished && message.retain, DeliveryState.Queued, 0))
    }
    return rows
  }
}

/** Stands for a message whose PUBREC has come: only its identifier is needed. */
const acknowledged = Message.make({
  topic: "-",
  payload: new Uint8Array(0),
  qos: 2,
  retain: false,
  publisher: "",
  properties: null,
  now: 0
})

const rowOf = (
  message: Message,
  route: Route | null,
  qos: 1 | 2,
  retain: boolean,
  state: DeliveryState,
  packetIdentifier: number
): StoredDelivery => ({
  session: 0,
  sequence: 0,
  message: 0,
  qos,
  retain,
  topicFilter: route?.topicFilter ?? "",
  subscriptionIdentifiers: route?.subscriptionIdentifiers ?? [],
  state,
  packetIdentifier,
  stored: { message: 0, ...contentOf(message) }
})
