// The clock of a connection: when it was last heard, how long it may be silent, and when it has to go whatever it does. The half of
// Connection.ts that has to do with the timer wheel. Invariant: at most one timer runs for it.
import { Actor } from "../otp/Actor.ts"
import type { Timer } from "../otp/TimerWheel.ts"
import type { Services, Timed } from "../session/Services.ts"

export abstract class TimedConnection extends Actor implements Timed {
  readonly services: Services
  protected lastReceivedAt: number
  protected idleMillis: number
  /** ms; then it has to go, whatever it does. */
  protected endsAt = Infinity
  protected timer: Timer<Timed> | undefined

  /** `idleMillis`: for its CONNECT. */
  constructor(services: Services, idleMillis: number) {
    super("connection", services.scheduler)
    this.services = services
    this.lastReceivedAt = services.scheduler.refresh()
    this.idleMillis = idleMillis
    this.timer = services.wheel.schedule(this.lastReceivedAt + idleMillis, this)
  }

  abstract onTimer(): void

  /** Undefined and Infinity: none. */
  protected setTimer(deadline: number | undefined): void {
    const { wheel } = this.services
    if (this.timer !== undefined) wheel.cancel(this.timer)
    this.timer = deadline === undefined || deadline === Infinity ? undefined : wheel.schedule(deadline, this)
  }
}
