// Sessions that this node gives up, because their clients have connected elsewhere: sent part by part as the link takes them, kept until the other node has
// them on disk, then what came late is sent after them, and only then they end. Owned by Takeover. Invariants: a session ends here only after the
// other node has said that it has it; what comes before every node knows where the session is now is sent after it.
import type { SessionDeparture } from "../../session/RemoteSessions.ts"
import type { StoredDelivery } from "../../store/Engine.ts"
import { type Bus, FrameKind, type Members } from "../Bus.ts"
import type { SetVersion } from "../routes/routeFrames.ts"
import type { Yield } from "./directoryFrames.ts"
import { sessionFrame } from "./sessionFrames.ts"

/** Where a departure stands. */
const Sending = 0
const Sent = 1
/** The other node has it; those of `unfenced` may still send here what it does not get. */
const Fencing = 2
const Finishing = 3
/** What came late is sent; the other node has not said that it has that too. */
const Ending = 4
/** All is sent, but some node does not know yet where the session is: what it sends here follows. */
const Trailing = 5

interface Leaving {
  readonly order: Yield
  readonly departure: SessionDeparture
  readonly formerToken: number
  phase: 0 | 1 | 2 | 3 | 4 | 5
  deadline: number
  readonly fenced: Set<string>
  readonly unfenced: Set<string>
  /** What the other node's routes were when it had the session. */
  routes: SetVersion
  trails: boolean
  /** While it trails: when the others are asked, and what has come is sent, the next time. */
  nextLook: number
  lookMillis: number
  readonly ended: (moved: boolean) => void
  /** The link took no more: what comes next waits for it. */
  waiting: boolean
  reading: boolean
  /** Read out and not sent yet, from `at` on. */
  page: ReadonlyArray<StoredDelivery>
  at: number
  /** There is another page. */
  more: boolean
  /** False: the head, or an empty last page, is to go in a frame of its own. */
  isSaid: boolean
}

export interface DeparturesOptions {
  readonly bus: Bus
  readonly members: Pick<Members, "present">
  readonly now: () => number
  /** Between two steps of the other node. */
  readonly moveMillis: number
  /** For the word of this peer, once it knows these routes of the other node. */
  readonly ask: (peer: string, order: Yield, routes: SetVersion) => void
  /** To the cluster's turn. */
  readonly post: (task: () => void) => void
  /** The session has stayed after all. */
  readonly onStayed: (clientId: string, formerToken: number) => void
  /** What comes from here on does not go with it; these have given their word. */
  readonly onMarked?: (order: Yield, fenced: ReadonlySet<string>) => void
  /** It is there; what comes here still follows for a while. */
  readonly onTrails?: (order: Yield) => void
  /** It has ended here, with the group of its end: it will not be offered again. */
  readonly onEnded: (order: Yield, session: number, group: number) => void
}

/** As the origin of what is published at this node. */
const here = ""
const nothing: ReadonlyArray<StoredDelivery> = []

/** Who has not given its word by then, because it is slow, or has no link to the other node, is waited for without the session's being held up, ms. */
const trailAfterMillis = 1_000
const firstLookMillis = 1_000
const longestLookMillis = 30_000

export class Departures {
  private readonly options: DeparturesOptions
  private readonly leaving = new Map<string, Leaving>()
  private readonly waiting = new Map<string, Array<Leaving>>()
  stayed = 0

  constructor(options: DeparturesOptions) {
    this.options = options
  }

  get size(): number {
    return this.leaving.size
  }

  /** It is not where it goes yet, or its rest is not. */
  has(clientId: string): boolean {
    return this.leaving.get(clientId)?.trails === false
  }

  /** Something of it is still here. */
  knows(clientId: string): boolean {
    return this.leaving.has(clientId)
  }

  /** Its client has come back to this node: what is left of it here is for the session that has come with it. */
  recall(clientId: string): void {
    const leaving = this.leaving.get(clientId)
    if (leaving?.trails === true) this.abort(leaving)
  }

  /** The session has moved on from there: it is looked for anew. */
  refused(clientId: string, token: number): void {
    const leaving = this.of(clientId, token)
    if (leaving !== undefined) this.abort(leaving)
  }

  /** `departure` null: there is nothing that could move. */
  begin(
    order: Yield,
    departure: SessionDeparture | null,
    formerToken: number,
    ended: (moved: boolean) => void = () => {}
  ): void {
    const { clientId, to, token } = order
    if (departure === null) {
      const part = {
        clientId,
        token,
        session: 0,
        none: true,
        late: false,
        last: true,
        head: null,
        subscriptions: [],
        deliveries: []
      }
      this.options.bus.send(to, FrameKind.SessionPart, sessionFrame(part, 0, this.options.now()).body)
      return
    }
    const leaving: Leaving = {
      order,
      departure,
      formerToken,
      phase: Sending,
      deadline: this.options.now() + this.options.moveMillis,
      fenced: new Set(),
      unfenced: new Set(),
      routes: { epoch: 0, version: 0 },
      trails: false,
      nextLook: 0,
      lookMillis: firstLookMillis,
      ended,
      waiting: false,
      reading: false,
      page: nothing,
      at: 0,
      more: true,
      isSaid: false
    }
    const before = this.leaving.get(clientId)
    if (before?.trails === true) this.abort(before)
    if (this.leaving.has(clientId)) this.behind(leaving)
    else this.start(leaving)
  }

  /** There was one more for this client, of a time when nodes did not see each other: one after the other. */
  private behind(leaving: Leaving): void {
    const { clientId } = leaving.order
    const queue = this.waiting.get(clientId)
    if (queue === undefined) this.waiting.set(clientId, [leaving])
    else queue.push(leaving)
  }

  private start(leaving: Leaving): void {
    leaving.deadline = this.options.now() + this.options.moveMillis
    this.leaving.set(leaving.order.clientId, leaving)
    this.goOn(leaving)
  }

  private over({ order: { clientId } }: Leaving): void {
    this.leaving.delete(clientId)
    const queue = this.waiting.get(clientId)
    const next = queue?.shift()
    if (queue?.length === 0) this.waiting.delete(clientId)
    if (next !== undefined) this.start(next)
  }

  /** The other node has all that was sent, on disk. */
  taken(clientId: string, token: number, routes: SetVersion): void {
    const leaving = this.of(clientId, token)
    if (leaving?.phase === Ending) return this.restTaken(leaving)
    if (leaving === undefined || leaving.phase >= Fencing) return
    leaving.phase = Fencing
    leaving.routes = routes
    const { bus, now } = this.options
    // This node knows the routes of the other one by now: what is published here goes there.
    leaving.fenced.add(here).add(leaving.order.to)
    leaving.departure.accepts((origin) => !leaving.fenced.has(origin))
    // Members without a link send nothing here: what they keep for this node they send to where the session is, once they know (forward/SessionGaps.ts).
    for (const name of bus.peers.keys()) if (!leaving.fenced.has(name)) leaving.unfenced.add(name)
    leaving.deadline = now() + trailAfterMillis
    this.finishFenced(leaving)
  }

  /** From this peer nothing more comes that the other node does not get too. */
  fencePassed(peer: string, clientId: string, token: number): void {
    const leaving = this.of(clientId, token)
    if (leaving === undefined) return
    leaving.fenced.add(peer)
    leaving.unfenced.delete(peer)
    if (leaving.phase === Fencing) this.finishFenced(leaving)
  }

  /** It is asked here: what it was told by the other node it may have been told too early. */
  linkUp(peer: string): void {
    for (const leaving of this.leaving.values()) {
      if (leaving.phase === Fencing && leaving.unfenced.has(peer)) {
        this.options.ask(peer, leaving.order, leaving.routes)
      }
    }
  }

  linkDown(peer: string): void {
    for (const leaving of this.leaving.values()) {
      if (leaving.order.to === peer) this.abort(leaving)
      else if (leaving.unfenced.delete(peer) && leaving.phase === Fencing) this.finishFenced(leaving)
    }
  }

  writable(peer: string): void {
    for (const leaving of this.leaving.values()) {
      if (leaving.order.to !== peer || !leaving.waiting) continue
      leaving.waiting = false
      this.goOn(leaving)
    }
  }

  tick(now: number): void {
    const { bus, members } = this.options
    for (const leaving of this.leaving.values()) {
      const { phase, unfenced } = leaving
      if (phase === Fencing || phase === Trailing) {
        // Who has died meanwhile gives no word.
        for (const name of unfenced) {
          if (!bus.peers.has(name) && !members.present.includes(name)) unfenced.delete(name)
        }
        if (phase === Fencing) this.finishFenced(leaving)
        else if (unfenced.size === 0 || now >= leaving.nextLook) this.look(leaving)
      }
      if (now < leaving.deadline || leaving.phase === Trailing) continue
      if (leaving.phase === Fencing) this.trail(leaving)
      else this.abort(leaving)
    }
  }

  /** Somebody has not given its word: the rest follows while it comes. */
  private trail(leaving: Leaving): void {
    leaving.trails = true
    leaving.departure.accepts((origin) => leaving.unfenced.has(origin))
    leaving.departure.mark()
    this.options.onMarked?.(leaving.order, new Set([...leaving.fenced, ...leaving.unfenced]))
    this.sendRest(leaving)
  }

  private look(leaving: Leaving): void {
    if (leaving.unfenced.size === 0) return this.finishFenced(leaving)
    for (const name of leaving.unfenced) this.options.ask(name, leaving.order, leaving.routes)
    leaving.departure.mark()
    this.sendRest(leaving)
  }

  private restTaken(leaving: Leaving): void {
    if (leaving.unfenced.size === 0) return this.end(leaving)
    if (leaving.phase === Ending) this.options.onTrails?.(leaving.order)
    leaving.phase = Trailing
    leaving.nextLook = this.options.now() + leaving.lookMillis
    leaving.lookMillis = Math.min(longestLookMillis, leaving.lookMillis * 2)
    leaving.ended(true)
  }

  private of(clientId: string, token: number): Leaving | undefined {
    const leaving = this.leaving.get(clientId)
    return leaving?.order.token === token ? leaving : undefined
  }

  private finishFenced(leaving: Leaving): void {
    if (leaving.unfenced.size > 0) return
    // What comes from here on the other node gets too.
    leaving.departure.accepts(() => false)
    leaving.departure.mark()
    this.options.onMarked?.(leaving.order, leaving.fenced)
    this.sendRest(leaving)
  }

  private sendRest(leaving: Leaving): void {
    leaving.phase = Finishing
    leaving.deadline = this.options.now() + this.options.moveMillis
    leaving.more = true
    this.goOn(leaving)
  }

  /** Sends what is read, as far as the link takes it, and reads the next page. */
  private goOn(leaving: Leaving): void {
    const { departure, page, phase } = leaving
    const size = isAtHead(leaving) ? departure.head.subscriptions.length : page.length
    if (leaving.reading || (phase !== Sending && phase !== Finishing)) return
    while (!leaving.isSaid || leaving.at < size) {
      if (this.options.bus.isCongested(leaving.order.to) || !this.sendOne(leaving)) {
        leaving.waiting = true
        return
      }
    }
    if (!leaving.more) return
    leaving.reading = true
    departure.read((read, more) => this.options.post(() => this.onPage(leaving, read, more)))
  }

  private onPage(leaving: Leaving, page: ReadonlyArray<StoredDelivery>, more: boolean): void {
    leaving.reading = false
    if (this.leaving.get(leaving.order.clientId) !== leaving) return
    leaving.page = page
    leaving.at = 0
    leaving.more = more
    leaving.isSaid &&= more || page.length > 0
    // Nothing has come since.
    if (leaving.lookMillis > firstLookMillis && page.length === 0 && !more && leaving.unfenced.size > 0) {
      leaving.isSaid = true
      return this.restTaken(leaving)
    }
    this.goOn(leaving)
  }

  /** One frame; false: the link does not take it now. */
  private sendOne(leaving: Leaving): boolean {
    const { at, departure: { head, session }, more, order, page, phase } = leaving
    const { clientId, to, token } = order
    const isHead = isAtHead(leaving)
    const part = {
      clientId,
      token,
      session,
      none: false,
      late: phase === Finishing,
      last: !more,
      head: isHead ? head : null,
      subscriptions: isHead ? head.subscriptions : [],
      deliveries: page
    }
    const { body, next } = sessionFrame(part, at, this.options.now())
    if (!this.options.bus.send(to, FrameKind.SessionPart, body)) return false
    leaving.at = next
    leaving.isSaid = true
    leaving.deadline = this.options.now() + this.options.moveMillis
    if (!more && next >= page.length) leaving.phase = phase === Sending ? Sent : Ending
    return true
  }

  /** All of it is on the other node's disk. */
  private end(leaving: Leaving): void {
    const { departure, order } = leaving
    departure.finish((group) => this.options.onEnded(order, departure.session, group))
    this.over(leaving)
    leaving.ended(true)
  }

  private abort(leaving: Leaving): void {
    const { departure, ended, formerToken, order } = leaving
    this.stayed++
    departure.abort(() =>
      this.options.post(() => {
        this.options.onStayed(order.clientId, formerToken)
        ended(false)
      })
    )
    this.over(leaving)
  }
}

const isAtHead = ({ page, phase }: Leaving): boolean => phase === Sending && page === nothing
