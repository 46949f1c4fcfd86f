// Keeps a back end that is away from being asked again and again. Plain state of one back end. After `failures` in a row nobody asks it for
// `restMillis`; then one request tries it, and all go on when that one is answered. Invariant: one line to the log when it is given up,
// one when it is back.

export interface BreakerOptions {
  /** In a row; 0: never. */
  readonly failures: number
  readonly restMillis: number
  readonly onOpen: (reason: string) => void
  readonly onClose: () => void
}

export class Breaker {
  private readonly options: BreakerOptions
  private failed = 0
  private openUntil = -Infinity
  private isOpen = false
  private probing = false

  constructor(options: BreakerOptions) {
    this.options = options
  }

  /** Whether a request may be made now. Whoever is told yes calls `succeeded`, `failed` or `abandoned`. */
  admits(now: number): boolean {
    if (!this.isOpen) return true
    if (now < this.openUntil || this.probing) return false
    this.probing = true
    return true
  }

  succeeded(): void {
    this.probing = false
    this.failed = 0
    if (!this.isOpen) return
    this.isOpen = false
    this.options.onClose()
  }

  /** `reason`: for the operator, no secrets in it. */
  failedWith(reason: string, now: number): void {
    this.probing = false
    this.failed++
    const { failures, onOpen, restMillis } = this.options
    if (failures === 0 || this.failed < failures) return
    this.openUntil = now + restMillis
    if (this.isOpen) return
    this.isOpen = true
    onOpen(reason)
  }

  /** Nobody waits for the answer any more, so there is none. */
  abandoned(): void {
    this.probing = false
  }
}
