// The sessions of other nodes, as the registry sees them: before it opens a session that this node does not hold it claims the client id, and may get
// the session that another node has. Declared here, implemented by the cluster; a node without one has `null` in its place and asks nobody.
// Invariant: `done` is called once for each claim, in a turn of its own.
import type { SessionRow, StoredDelivery, SubscriptionRow } from "../store/Engine.ts"
import type { Place } from "../router/RemoteRoutes.ts"
import type { TakenFrom, TakenNote } from "./TakenNotes.ts"

/** What a connection is told whose client has come elsewhere. */
export const takenOverElsewhere = "taken over by a new connection on another node"

/** A session without what it is owed. */
export interface SessionHead {
  readonly row: Omit<SessionRow, "session">
  readonly subscriptions: ReadonlyArray<Omit<SubscriptionRow, "session">>
  readonly awaitingPubrel: ReadonlyArray<{ readonly packetIdentifier: number; readonly since: number }>
  /** The sequence of the last delivery that it had when its node started, from the store; 0: it is of this start. */
  readonly restored: number
  /** How far it has seen the messages of each node. */
  readonly seen: ReadonlyArray<Place>
  /** What it has taken of sessions that may still be on other nodes. */
  readonly taken: ReadonlyArray<TakenNote>
}

/** A session that comes from another node. Deliveries in the order in which they are owed, exchanges that are under way first. */
export interface SessionState extends SessionHead {
  readonly deliveries: ReadonlyArray<StoredDelivery>
  readonly from: TakenFrom
}

/** A session that is on its way out (Departure.ts). A session that has ended meanwhile answers nothing. */
export interface SessionDeparture {
  readonly head: SessionHead
  /** Its number in the store; 0: it is in none. */
  readonly session: number
  /** What has not been read out yet of what it was owed when it was last marked; `more`: there is another page. */
  read(reply: (page: ReadonlyArray<StoredDelivery>, more: boolean) => void): void
  /** What it is owed from here on is read out no more: it comes by another way. */
  mark(): void
  /** The other node has it: from now on it takes in only what comes from nodes that do not know that. `origin`: "" for this one. */
  accepts(origin: (name: string) => boolean): void
  /** All of it is elsewhere: it ends. `done`: with the group of its end. */
  finish(done?: (group: number) => void): void
  /** Whoever was to have it does not answer: the session stays as it is. `done`: in a turn of the registry, which has it again. */
  abort(done: () => void): void
}

export type Claimed =
  /** Another connection with this client id came later, somewhere else. */
  | { readonly _tag: "Superseded" }
  /** It is another user's, and stays where it is. */
  | { readonly _tag: "Refused" }
  /** `state`: null where no other node has a session. Token: for `installed`. */
  | { readonly _tag: "Granted"; readonly token: number; readonly state: SessionState | null }

export interface RemoteSessions {
  /** The session of this client id belongs here: nobody is asked. */
  holds(clientId: string): boolean
  /** Under which token it does: of two sessions that were made while their nodes did not see each other the greater one stays, so it is kept with it. */
  tokenOf(clientId: string): number
  /** Its client has come back here, and nobody was asked: under a new token, as that is later than whatever another node has. */
  attached(clientId: string): number
  /**
   * `resume`: the state is wanted; else it only has to end where it is. `mark`: of the user whose it has to be (userMark.ts); null: whoever
   * it is.
   */
  claim(clientId: string, resume: boolean, mark: string | null, done: (claimed: Claimed) => void): void
  /** What came with a claim is in a session, whose changes are in groups up to this one. */
  installed(clientId: string, token: number, group: number): void
  /** The session is over, here and everywhere. */
  ended(clientId: string): void
}
