// How fast one client may publish: messages and bytes a second. Made where a limit is set; who has none has no such object. Owned by one
// Incoming and called inside its connection's turn. Invariant: a client that is read slower is woken when it may be read on.
import type { LimitsSettings } from "../config/Settings.ts"
import type { Timer, TimerWheel } from "../otp/TimerWheel.ts"
import type { Timed } from "../session/Services.ts"
import { TokenBucket } from "./TokenBucket.ts"

/** What the client above it comes to; "read": nothing, it is within its rate. */
export type Verdict = "read" | "refuse"

export const sameRates = (a: LimitsSettings, b: LimitsSettings): boolean =>
  a.messageRate === b.messageRate && a.messageBurst === b.messageBurst && a.byteRate === b.byteRate &&
  a.byteBurst === b.byteBurst && a.whenExceeded === b.whenExceeded

export interface RateOwner {
  wake(): void
  /** It is above this setting, for the first time since it was within. */
  onExceeded(setting: string): void
}

const messageRate = "limits.message_rate"
const byteRate = "limits.byte_rate"

export class PublishRate implements Timed {
  private readonly owner: RateOwner
  private readonly wheel: TimerWheel<Timed>
  private readonly messages: TokenBucket | undefined
  private readonly bytes: TokenBucket | undefined
  private readonly slows: boolean
  private timer: Timer<Timed> | undefined
  /** The setting that was reached; "": none is. */
  private reached = ""

  private constructor(owner: RateOwner, wheel: TimerWheel<Timed>, limits: LimitsSettings, now: number) {
    const { byteBurst, byteRate, messageBurst, messageRate, whenExceeded } = limits
    this.owner = owner
    this.wheel = wheel
    this.messages = messageRate === 0 ? undefined : new TokenBucket(messageRate, messageBurst, now)
    this.bytes = byteRate === 0 ? undefined : new TokenBucket(byteRate, byteBurst, now)
    this.slows = whenExceeded === "slow"
  }

  /** Null: no limit is set. */
  static of(owner: RateOwner, wheel: TimerWheel<Timed>, limits: LimitsSettings, now: number): PublishRate | null {
    return limits.messageRate === 0 && limits.byteRate === 0 ? null : new PublishRate(owner, wheel, limits, now)
  }

  /** A PUBLISH of so many bytes has come. */
  judge(size: number, now: number): Verdict {
    const { bytes, messages } = this
    if (this.slows) {
      messages?.owe(1, now)
      bytes?.owe(size, now)
      return "read"
    }
    // First both are looked at: what is refused costs nothing of the other.
    const fast = messages !== undefined && messages.waitMillis(now) > 0
    if (fast || (bytes !== undefined && bytes.waitMillis(now) > 0)) {
      this.exceeded(fast ? messageRate : byteRate)
      return "refuse"
    }
    messages?.take(1, now)
    bytes?.take(size, now)
    this.reached = ""
    return "read"
  }

  /** The client is not read at present; it is woken when it is again. */
  slowed(now: number): boolean {
    if (!this.slows) return false
    const messages = this.messages?.waitMillis(now) ?? 0
    const wait = Math.max(messages, this.bytes?.waitMillis(now) ?? 0)
    if (wait === 0) {
      this.reached = ""
      return false
    }
    this.exceeded(wait === messages ? messageRate : byteRate)
    if (this.timer?.active !== true) this.timer = this.wheel.schedule(now + wait, this)
    return true
  }

  onTimer(): void {
    this.owner.wake()
  }

  /** Its connection is over, or other limits hold. */
  close(): void {
    if (this.timer !== undefined) this.wheel.cancel(this.timer)
    this.timer = undefined
  }

  private exceeded(setting: string): void {
    if (this.reached === "") this.owner.onExceeded(setting)
    this.reached = setting
  }
}
