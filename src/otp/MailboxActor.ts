/**
 * An actor whose only input is a mailbox of messages: cast and forget, or call and wait for the answer. Invariant: a message is
 * handled once or, when handling it threw, never again; the ones behind it stay for the next life.
 */
import { Data, Duration, Effect } from "effect"
import { Actor } from "./Actor.ts"
import { Mailbox } from "./Mailbox.ts"
import type { Scheduler } from "./Scheduler.ts"

export class CallTimeout extends Data.TaggedError("CallTimeout")<{ readonly actor: string; readonly millis: number }> {
  override get message() {
    return `${this.actor} did not answer within ${this.millis} ms`
  }
}

export class MailboxFull
  extends Data.TaggedError("MailboxFull")<{ readonly actor: string; readonly capacity: number }> {
  override get message() {
    return `the mailbox of ${this.actor} is full (${this.capacity} messages)`
  }
}

export class ActorEnded extends Data.TaggedError("ActorEnded")<{ readonly actor: string }> {
  override get message() {
    return `${this.actor} has ended`
  }
}

export abstract class MailboxActor<M> extends Actor {
  readonly mailbox: Mailbox<M>
  /** Calls that wait for their answer, by the message that asks. */
  private calls: Map<M, (ended: ActorEnded) => void> | undefined

  constructor(name: string, scheduler: Scheduler, capacity: number) {
    super(name, scheduler)
    this.mailbox = new Mailbox(capacity)
  }

  /** Plain code. What it throws crashes the actor and takes this one message with it. */
  protected abstract handle(message: M): void

  /**
   * Leaves a message. False: the mailbox is full, or the actor was stopped. Between a crash and the next life messages are taken in.
   */
  cast(message: M): boolean {
    if (this.stopped || !this.mailbox.offer(message)) return false
    if (this.mailbox.isFull) this.wakeNext()
    else this.wake()
    return true
  }

  /** Leaves a message that carries the way back. The answer may come in a later batch, and from anywhere. */
  call<A>(
    make: (reply: (answer: A) => void) => M,
    timeout: Duration.Input
  ): Effect.Effect<A, CallTimeout | MailboxFull | ActorEnded> {
    return Effect.callback<A, MailboxFull | ActorEnded>((resume) => {
      let message: M | undefined = undefined
      const forget = () => {
        if (message !== undefined) this.calls?.delete(message)
      }
      message = make((answer) => {
        forget()
        resume(Effect.succeed(answer))
      })
      if (this.stopped) return resume(Effect.fail(new ActorEnded({ actor: this.name })))
      if (!this.cast(message)) {
        return resume(Effect.fail(new MailboxFull({ actor: this.name, capacity: this.mailbox.capacity })))
      }
      this.calls ??= new Map()
      this.calls.set(message, (ended) => resume(Effect.fail(ended)))
      return Effect.sync(forget)
    }).pipe(
      // An answer resumes the caller inside the actor's stack: the caller goes on in a turn of its own.
      Effect.ensuring(Effect.yieldNow),
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () =>
          Effect.fail(
            new CallTimeout({ actor: this.name, millis: Duration.toMillis(Duration.fromInputUnsafe(timeout)) })
          )
      })
    )
  }

  override stop(): void {
    super.stop()
    this.mailbox.clear()
    this.failCalls()
  }

  protected override receive(): void {
    const batch = this.mailbox.takeAll()
    let index = 0
    try {
      while (index < batch.length && !this.ended) {
        const message = batch[index++]
        if (message !== undefined) this.handle(message)
      }
    } finally {
      // After a throw, or when the actor was ended by what it handled: the rest is for the next life.
      if (index < batch.length && !this.stopped) this.mailbox.putBack(batch, index)
      this.mailbox.release()
    }
  }

  /** A crashed life answers nothing any more; what waits in the mailbox still may be answered by the next one. */
  override crash(defect: unknown): void {
    this.failCalls(new Set(this.mailbox.peekAll()))
    super.crash(defect)
  }

  private failCalls(except?: ReadonlySet<M>): void {
    const calls = this.calls
    if (calls === undefined) return
    this.calls = undefined
    for (const [message, fail] of calls) {
      if (except?.has(message)) (this.calls ??= new Map()).set(message, fail)
      else fail(new ActorEnded({ actor: this.name }))
    }
  }
}
