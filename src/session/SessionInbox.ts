// The mailbox of a session: messages of the router with their routes and records, acknowledgements of the client, commands. Session.ts extends it
// and works it off in its turn. Invariants: what comes in bulk is pushed without an object around it; a lane keeps its order across a crash.
import type { Message } from "../mqtt/Message.ts"
import { Actor } from "../otp/Actor.ts"
import type { Place } from "../router/RemoteRoutes.ts"
import type { Route } from "../router/Route.ts"
import type { Subscriber } from "../router/Subscriber.ts"
import type { DurableDelivery } from "../store/DurableDelivery.ts"
import type { SessionCommand } from "./ClientLink.ts"
import type { DurableState } from "./DurableState.ts"
import type { Outgoing } from "./Outgoing.ts"
import type { Services } from "./Services.ts"

/** Never pushed to: what a lane without an array stands on. */
const noRoutes: Array<Route> = []
const noRecords: Array<DurableDelivery | null> = []

const inboxKept = 64

export abstract class SessionInbox extends Actor implements Subscriber {
  readonly clientId: string
  connected = false
  /** Null: it does not outlive the process. */
  durable: DurableState | null = null
  protected readonly services: Services
  /** What the router gives it waits until what it is owed from elsewhere is here. */
  protected holding = false
  /** It is elsewhere: whether messages of this node ("": this one) come here alone. Null: it takes in what comes from anywhere. */
  accepts: ((origin: string) => boolean) | null = null
  /** Of nodes whose messages have come further where it was before than they have here. */
  protected seen: ReadonlyArray<Place> | null = null
  /** Over for good. */
  protected finished = false

  // The mailbox, in lanes: what comes in bulk is pushed without an object around it.
  // A lane that has never had anything, or had a burst, has no array: most sessions of a large broker are idle.
  protected messages: Array<Message> | null = null
  protected routes: Array<Route> = noRoutes
  /** Beside them, in a durable session. */
  protected records: Array<DurableDelivery | null> = noRecords
  protected acknowledgements: Array<number> | null = null
  protected commands: Array<SessionCommand> | null = null

  constructor(clientId: string, services: Services) {
    super(clientId, services.scheduler)
    this.clientId = clientId
    this.services = services
  }

  abstract get outgoing(): Outgoing

  /** A command that came too late. */
  protected abstract refuse(command: SessionCommand): void

  /**
   * A message from the router. At its capacity the session runs next, before any other sender gets a turn; twice that is
   * the end: dropped and counted.
   */
  deliver(message: Message, route: Route): void {
    if (this.finished) {
      // The router has not heard of the end yet.
      if (route.group?.redispatch(message, this) === true) return
      this.services.counters.deliveries_dropped_session_ended_total++
      return
    }
    // What all others send goes to where it is. A shared group has chosen this session, and nobody else gets it.
    if ((this.accepts !== null || this.seen !== null) && route.group === undefined && this.isElsewhere()) return
    if (this.messages === null) {
      this.messages = []
      this.routes = []
      if (this.durable !== null) this.records = []
    }
    const waiting = this.messages.length
    const capacity = this.services.settings.session.mailboxCapacity
    if (waiting >= capacity) {
      // What is held waits as in the queue: so much of it may.
      const { capacity: queued } = this.services.settings.queue
      if (waiting >= (this.holding ? Math.max(capacity * 2, queued) : capacity * 2)) {
        if (!message.topicName.isSystem) this.services.counters.deliveries_dropped_mailbox_full_total++
        const limit = this.holding ? "queue.capacity" : "session.mailbox_capacity"
        const fields = { client_id: this.clientId, topic: message.topic, limit }
        this.services.log.warning("mailbox of a session full: message dropped", fields)
        return
      }
      if (waiting === capacity) this.wakeNext()
    }
    this.messages.push(message)
    this.routes.push(route)
    // In the publisher's turn, so that its acknowledgement knows what to wait for.
    if (this.durable !== null) {
      this.records.push(this.durable.deliver(message, route, route.retainAsPublished && message.retain))
    }
    if (waiting === 0) this.wake()
  }

  /** The message under way has come to it on another node, or will. */
  private isElsewhere(): boolean {
    const { remote } = this.services.router
    const { origin } = remote
    if (origin === undefined) return false
    if (this.accepts?.(origin ?? "") === false) return true
    if (this.seen === null) return false
    if (remote.wasSeen(this.seen)) return true
    const behind = remote.behind(this.seen)
    this.seen = behind.length === 0 ? null : behind
    return false
  }

  /** A PUBACK, PUBREC or PUBCOMP of the client: packet identifier | reason code << 16 | type << 24. */
  acknowledge(packed: number): void {
    if (this.acknowledgements === null) this.acknowledgements = [packed]
    else this.acknowledgements.push(packed)
    if (this.acknowledgements.length === this.services.settings.store.maxHeldAnswers) {
      this.services.counters.connections_held_total++
    }
    this.wake()
  }

  /** As `SessionHandle.isBehind`. In the same turn of its connection it may be true of a session that only has not run yet. */
  get isBehind(): boolean {
    const { acknowledgements } = this
    return acknowledgements !== null && acknowledgements.length >= this.services.settings.store.maxHeldAnswers
  }

  command(command: SessionCommand): void {
    if (this.finished) return this.refuse(command)
    if (this.commands === null) this.commands = [command]
    else this.commands.push(command)
    // What a client asked for holds before the packets of others that came after it: requests overtake what is queued.
    this.wakeNext()
  }

  protected takeMessages(messages: Array<Message>, routes: Array<Route>): void {
    const { outgoing } = this
    const count = messages.length
    let taken = 0
    try {
      while (taken < count) {
        const message = messages[taken]
        const route = routes[taken]
        const record = this.durable === null ? null : this.records[taken] ?? null
        taken++
        if (message !== undefined && route !== undefined) outgoing.deliver(message, route, record)
      }
    } finally {
      // After a crash what was not looked at is for the next life; a burst must not leave its array behind in an idle session.
      if (taken < count) {
        this.messages = messages.slice(taken)
        this.routes = routes.slice(taken)
        this.records = this.records.slice(taken)
      } else if (count > inboxKept) {
        this.messages = null
        this.routes = noRoutes
        this.records = noRecords
      } else {
        messages.length = 0
        routes.length = 0
        if (this.records !== noRecords) this.records.length = 0
      }
    }
  }

  protected takeAcknowledgements(acknowledgements: Array<number>): void {
    const count = acknowledgements.length
    let taken = 0
    try {
      while (taken < count) {
        const packed = acknowledgements[taken++]
        if (packed !== undefined) this.outgoing.acknowledge(packed >>> 24, packed & 0xffff, (packed >>> 16) & 0xff)
      }
    } finally {
      if (taken < count) this.acknowledgements = acknowledgements.slice(taken)
      else if (count > inboxKept) this.acknowledgements = null
      else acknowledgements.length = 0
    }
  }

  /** Takes messages out of the lane, by their positions: they are owed to it by another way. */
  protected strike(positions: ReadonlySet<number>): void {
    if (this.messages === null || positions.size === 0) return
    const stays = (_: unknown, position: number) => !positions.has(position)
    for (const position of positions) {
      const record = this.records[position]
      if (record !== null && record !== undefined) this.services.journal.done(record)
    }
    this.messages = this.messages.filter(stays)
    this.routes = this.routes.filter(stays)
    this.records = this.records.filter(stays)
  }

  /** What waits in the lane is owed after everything that the session has taken in meanwhile: in the store too. */
  protected recordAnew(): void {
    const { durable, messages, records, routes } = this
    if (durable === null || messages === null) return
    messages.forEach((message, position) => {
      const route = routes[position]
      const record = records[position]
      if (route === undefined || record === null || record === undefined) return
      this.services.journal.done(record)
      records[position] = durable.deliver(message, route, route.retainAsPublished && message.retain)
    })
  }
}
