// Whom this node connects to, and when: the addresses of the settings and of discovery, and every member. Pure but for the dialling,
// which it is given. Invariant: at most one attempt a target at a time, none while there is a link to it, and never two closer together
// than their back-off.
import { backoffDelay } from "../../otp/RestartLimit.ts"
import type { NodeAddress } from "../../config/sections/cluster.ts"
import { hostPort } from "../../platform/Tcp.ts"

export interface Target {
  readonly address: NodeAddress
  /** Whose address it is: of a member always, of another one once it has said so. */
  name: string | undefined
  readonly isMember: boolean
  failures: number
  nextAt: number
  /** Ends the attempt that is under way. */
  attempt: (() => void) | undefined
  /** That was told last, so that each reason is told once. */
  lastReason: string
  /** When the link that there was has gone, and why; 0: there was none. */
  lostAt: number
  lostBecause: string
}

export interface DialerOptions {
  readonly self: string
  readonly maxBackoffMillis: number
  /** Addresses that are this node's own, or a member's, are tried again after this. */
  readonly recheckMillis: number
  /** 0 to 1. */
  readonly random: () => number
  /** Begins an attempt. */
  readonly dial: (target: Target) => () => void
  readonly isUp: (name: string) => boolean
  /** A member that is not forgotten; its own target looks after it. */
  readonly isMember: (name: string) => boolean
}

const mostAttempts = 32
const firstMillis = 100
/** Of two members the one whose name comes later waits, so that they seldom meet halfway. */
const courtesyMillis = 250

export class Dialer {
  private readonly options: DialerOptions
  private readonly addresses = new Map<string, Target>()
  private readonly members = new Map<string, Target>()
  private attempts = 0

  constructor(options: DialerOptions) {
    this.options = options
  }

  get targets(): Iterable<Target> {
    return [...this.addresses.values(), ...this.members.values()]
  }

  /** Addresses of the settings, of `ctl cluster join` and of discovery: those that are there already stay as they are. */
  add(addresses: ReadonlyArray<NodeAddress>, now: number): void {
    for (const address of addresses) {
      const key = keyOf(address)
      if (!this.addresses.has(key)) this.addresses.set(key, target(address, undefined, false, now))
    }
  }

  /** To be called at once, whatever was before. */
  callNow(address: NodeAddress, now: number): Target {
    this.add([address], now)
    const found = this.addresses.get(keyOf(address)) ?? target(address, undefined, false, now)
    found.failures = 0
    found.nextAt = now
    return found
  }

  /** Addresses that discovery does not name any more. */
  remove(addresses: ReadonlyArray<NodeAddress>): void {
    for (const address of addresses) {
      const key = keyOf(address)
      this.addresses.get(key)?.attempt?.()
      this.addresses.delete(key)
    }
  }

  /** A member and where it is; undefined: it is none any more. */
  member(name: string, address: NodeAddress | undefined, now: number): void {
    const known = this.members.get(name)
    if (known !== undefined && address !== undefined && keyOf(known.address) === keyOf(address)) return
    known?.attempt?.()
    if (address === undefined) this.members.delete(name)
    else this.members.set(name, target(address, name, true, now + this.courtesy(name)))
  }

  ofMember(name: string): Target | undefined {
    return this.members.get(name)
  }

  /** The link to it was up and is not any more. */
  lost(name: string, now: number, because: string): void {
    for (const target of this.targets) {
      if (target.name !== name) continue
      target.lostAt = now
      target.lostBecause = because
      target.failures = 0
      target.nextAt = now + Math.round(this.options.random() * firstMillis) + this.courtesy(name)
    }
  }

  /** An attempt is over: it came to nothing. True: its reason is another one than before. */
  failed(target: Target, reason: string, now: number): boolean {
    this.over(target)
    target.failures++
    const backoff = { firstMillis, maxMillis: this.options.maxBackoffMillis, jitter: 0.2 }
    target.nextAt = now + backoffDelay(backoff, Math.min(target.failures, 30), this.options.random())
    const isNews = target.lastReason !== reason
    target.lastReason = reason
    return isNews
  }

  /** An attempt is over: there is a link, or there has been one, or it is this node itself. */
  reached(target: Target, now: number): void {
    this.over(target)
    target.failures = 0
    target.lastReason = ""
    target.nextAt = target.isMember ? now + firstMillis : now + this.options.recheckMillis
  }

  tick(now: number): void {
    for (const target of this.addresses.values()) this.consider(target, now)
    for (const target of this.members.values()) this.consider(target, now)
  }

  /** Ends all attempts. */
  close(): void {
    for (const target of this.targets) target.attempt?.()
  }

  private consider(target: Target, now: number): void {
    if (target.attempt !== undefined || target.nextAt > now || this.attempts >= mostAttempts) return
    const { dial, isMember, isUp } = this.options
    const { name } = target
    if (name !== undefined && (isUp(name) || (!target.isMember && isMember(name)))) return
    this.attempts++
    target.attempt = () => {}
    const cancel = dial(target)
    if (target.attempt === undefined) return
    target.attempt = () => {
      this.over(target)
      cancel()
    }
  }

  private over(target: Target): void {
    if (target.attempt === undefined) return
    target.attempt = undefined
    this.attempts--
  }

  private courtesy(name: string): number {
    return this.options.self < name ? 0 : courtesyMillis
  }
}

export const keyOf = ({ host, port }: NodeAddress): string => hostPort(host, port)

const target = (address: NodeAddress, name: string | undefined, isMember: boolean, nextAt: number): Target => ({
  address,
  name,
  isMember,
  failures: 0,
  nextAt,
  attempt: undefined,
  lastReason: "",
  lostAt: 0,
  lostBecause: ""
})
