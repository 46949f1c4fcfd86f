// Whom the cluster has, as this node knows it, and which of two pieces of news about a member is the later one. Pure. Invariant: what is
// applied in any order, any number of times, ends in the same table: a greater epoch (a restart) wins, then a greater incarnation (the
// member's own word), then the graver status.
import type { BodyReader } from "../BodyReader.ts"
import type { BodyWriter } from "../BodyWriter.ts"
import type { MemberStatus } from "../Bus.ts"
import { fnv1a } from "../../router/textHash.ts"

export interface MemberEntry {
  readonly name: string
  readonly epoch: number
  readonly incarnation: number
  readonly status: MemberStatus
  /** host:port where it listens; "" while nobody has said. */
  readonly address: string
  /** Of the dead and of those who have left: how long they have been so, in seconds. */
  readonly ageSeconds: number
}

export interface Member {
  readonly name: string
  epoch: number
  incarnation: number
  status: MemberStatus
  address: string
  /** When it came to this status; ms since 1970. */
  since: number
}

const statuses: ReadonlyArray<MemberStatus> = ["alive", "suspect", "dead", "left"]
const rankOf = (status: MemberStatus): number => statuses.indexOf(status)

export const writeEntry = (writer: BodyWriter, entry: MemberEntry): void => {
  writer.text(entry.name).uint64(entry.epoch).uint32(entry.incarnation).uint8(rankOf(entry.status))
  writer.text(entry.address).uint32(entry.ageSeconds)
}

/** Throws as BodyReader does, and for a status that there is not. */
export const readEntry = (reader: BodyReader): MemberEntry => {
  const [name, epoch, incarnation, rank] = [reader.text(), reader.uint64(), reader.uint32(), reader.uint8()]
  const status = statuses[rank]
  if (status === undefined || name === "" || name.length > 255) throw new RangeError("no entry of a member")
  return { name, epoch, incarnation, status, address: reader.text(), ageSeconds: reader.uint32() }
}

export interface Change {
  readonly member: Member
  /** Undefined: it is new. */
  readonly before: MemberStatus | undefined
  /** It was restarted, or is new. */
  readonly isNewEpoch: boolean
}

const isLater = (news: MemberEntry, known: Member): boolean =>
  news.epoch !== known.epoch
    ? news.epoch > known.epoch
    : news.incarnation !== known.incarnation
    ? news.incarnation > known.incarnation
    : rankOf(news.status) > rankOf(known.status)

export class MemberTable {
  readonly members = new Map<string, Member>()
  private readonly forgetAfterMillis: number
  private readonly maxMembers: number
  private sorted: ReadonlyArray<string> | undefined
  private sum = 0
  /** How many are alive or suspect. */
  presentCount = 0

  constructor(maxMembers: number, forgetAfterMillis: number) {
    this.maxMembers = maxMembers
    this.forgetAfterMillis = forgetAfterMillis
  }

  get(name: string): Member | undefined {
    return this.members.get(name)
  }

  get isFull(): boolean {
    return this.members.size >= this.maxMembers
  }

  /** Undefined: it is no news; "full": it is a new member, and there are as many as there may be. */
  apply(news: MemberEntry, now: number): Change | "full" | undefined {
    const known = this.members.get(news.name)
    const isGone = news.status === "dead" || news.status === "left"
    if (known === undefined) {
      if (isGone && news.ageSeconds * 1000 >= this.forgetAfterMillis) return undefined
      if (this.isFull) return "full"
      const { address, epoch, incarnation, name, status } = news
      const member = { name, epoch, incarnation, status, address, since: now - (isGone ? news.ageSeconds * 1000 : 0) }
      this.members.set(name, member)
      this.changed(undefined, member)
      return { member, before: undefined, isNewEpoch: true }
    }
    if (!isLater(news, known)) {
      if (known.address === "" && known.epoch === news.epoch) known.address = news.address
      return undefined
    }
    const before = { ...known }
    // Suspected once more after it has spoken: its time begins anew.
    if (known.status !== news.status || known.incarnation !== news.incarnation) {
      known.since = now - (isGone ? news.ageSeconds * 1000 : 0)
    }
    known.epoch = news.epoch
    known.incarnation = news.incarnation
    known.status = news.status
    if (news.address !== "") known.address = news.address
    this.changed(before, known)
    return { member: known, before: before.status, isNewEpoch: before.epoch !== news.epoch }
  }

  remove(name: string): void {
    const known = this.members.get(name)
    if (known === undefined) return
    this.members.delete(name)
    this.changed(known, undefined)
  }

  entryOf(member: Member, now: number): MemberEntry {
    const isGone = member.status === "dead" || member.status === "left"
    const { address, epoch, incarnation, name, status } = member
    const ageSeconds = isGone ? Math.max(0, Math.floor((now - member.since) / 1000)) : 0
    return { name, epoch, incarnation, status, address, ageSeconds }
  }

  /** Alive or suspect, sorted by name. */
  get present(): ReadonlyArray<string> {
    return this.sorted ??= [...this.members.values()].filter(isPresent).map(({ name }) => name).sort(byCode)
  }

  /** Of all that are present: the same on two nodes that know the same. */
  get digest(): number {
    return this.sum >>> 0
  }

  private changed(before: Member | undefined, after: Member | undefined): void {
    if (before !== undefined && isPresent(before)) {
      this.sum ^= hashOf(before)
      this.presentCount--
    }
    if (after !== undefined && isPresent(after)) {
      this.sum ^= hashOf(after)
      this.presentCount++
    }
    if ((before !== undefined && isPresent(before)) !== (after !== undefined && isPresent(after))) {
      this.sorted = undefined
    }
  }
}

const isPresent = ({ status }: Member): boolean => status === "alive" || status === "suspect"

const byCode = (one: string, other: string): number => one < other ? -1 : one > other ? 1 : 0

const hashOf = ({ epoch, incarnation, name, status }: Member): number =>
  fnv1a(`${name} ${epoch} ${incarnation} ${status}`)
