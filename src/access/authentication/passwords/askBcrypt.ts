// bcrypt in a thread of its own: it is a hash of others' files, computed in JavaScript, and never on the event loop. Started at the first
// question; the process does not wait for it. Invariant: every question is answered, also when the thread dies.
import { Effect } from "effect"
import { Worker } from "node:worker_threads"
import { threadUrl } from "../../../platform/threadUrl.ts"
import { type LinkFailure, linkFailure } from "../AuthLink.ts"

export interface BcryptQuestion {
  readonly id: number
  readonly hash: string
  readonly password: Uint8Array
}

export interface BcryptAnswer {
  readonly id: number
  readonly right: boolean
}

class BcryptThread {
  private thread: Worker | undefined
  private lastId = 0
  private readonly asked = new Map<number, (answer: Effect.Effect<boolean, LinkFailure>) => void>()

  verify(hash: string, password: Uint8Array): Effect.Effect<boolean, LinkFailure> {
    return Effect.callback((resume) => {
      const id = ++this.lastId
      this.asked.set(id, resume)
      const question: BcryptQuestion = { id, hash, password: Uint8Array.from(password) }
      this.thread ??= this.start()
      this.thread.postMessage(question, [])
    })
  }

  private start(): Worker {
    const thread = new Worker(
      threadUrl(import.meta.url, "./bcryptThread.ts", "./access/authentication/passwords/bcryptThread.ts")
    )
    thread.unref()
    thread.on("message", ({ id, right }: BcryptAnswer) => {
      const resume = this.asked.get(id)
      this.asked.delete(id)
      resume?.(Effect.succeed(right))
    })
    const died = () => {
      if (this.thread !== thread) return
      this.thread = undefined
      const waiting = [...this.asked.values()]
      this.asked.clear()
      for (const resume of waiting) resume(Effect.fail(linkFailure("the thread that checks bcrypt has died")))
    }
    thread.on("error", died)
    thread.on("exit", died)
    return thread
  }
}

export const bcryptThread = new BcryptThread()
