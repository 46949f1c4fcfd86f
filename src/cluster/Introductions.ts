// What each node says of itself to the others as their link comes up, so that every node can tell it of all: its version and what it is. A part of
// the cluster. Invariant: what is known is of members alone; it goes when a member has left or is forgotten.
import { BodyReader } from "./BodyReader.ts"
import { BodyWriter } from "./BodyWriter.ts"
import { type Bus, type BusPart, FrameKind, type MembersListener, type MemberStatus, type Peer } from "./Bus.ts"

export interface Introduction {
  readonly version: string
  readonly description: string
}

export interface IntroductionsOptions {
  readonly bus: Bus
  /** Of this node. */
  readonly own: Introduction
}

/** Characters of either that are kept: a name and a few words. */
const mostLength = 200

export class Introductions implements BusPart, MembersListener {
  readonly kinds = [FrameKind.Introduction]
  /** Of other nodes. */
  readonly known = new Map<string, Introduction>()
  /** In the cluster's turn; undefined: it is no member any more. */
  onChange: (node: string, introduction: Introduction | undefined) => void = () => {}
  private readonly bus: Bus
  private readonly body: Uint8Array
  /** Peers whose link had no room for it. */
  private readonly due = new Set<string>()

  constructor({ bus, own: { description, version } }: IntroductionsOptions) {
    this.bus = bus
    this.body = new BodyWriter().text(version).text(description).written()
  }

  linkUp({ name }: Peer): void {
    this.due.add(name)
    this.tell(name)
  }

  linkDown({ name }: Peer): void {
    this.due.delete(name)
  }

  receive({ name }: Peer, _: FrameKind, body: Buffer): void {
    const reader = new BodyReader(body)
    const introduction = { version: short(reader.text()), description: short(reader.text()) }
    this.known.set(name, introduction)
    this.onChange(name, introduction)
  }

  writable({ name }: Peer): void {
    this.tell(name)
  }

  memberChanged(name: string, status: MemberStatus | "forgotten"): void {
    if (status !== "left" && status !== "forgotten") return
    if (this.known.delete(name)) this.onChange(name, undefined)
  }

  private tell(name: string): void {
    if (this.due.has(name) && this.bus.send(name, FrameKind.Introduction, this.body)) this.due.delete(name)
  }
}

const short = (text: string): string => text.slice(0, mostLength)
