// What one connection may do, where some of the answers have to be fetched: its Permissions, and the step that waits for them (the packet that
// was read last, or its CONNECT). Made when first needed, owned by the connection. Invariants: one step waits at a time, and nothing is read
// meanwhile, so packets stay in order; a step goes on in the connection's turn, once, and never after the connection is over.
import type { Permissions } from "../access/rules/Permissions.ts"
import type { Subject } from "../access/rules/Rule.ts"
import type { Services } from "../session/Services.ts"
import { permissionsOf } from "./permitted.ts"

interface Asker {
  readonly services: Services
  readonly subject: Subject
  wake(): void
}

export class RuleAsking {
  readonly permissions: Permissions
  private readonly asker: Asker
  private next: (() => void) | null = null
  private stop: (() => void) | null = null
  private answered = false

  constructor(asker: Asker) {
    this.asker = asker
    this.permissions = permissionsOf(asker)
  }

  /** `next` is called in a turn of the connection, once the answers are there; it asks again, and may wait again. */
  wait(next: () => void): void {
    this.next = next
    this.answered = false
    this.asker.services.counters.rule_answers_awaited_total++
    this.stop = this.permissions.fetch(() => {
      this.answered = true
      this.asker.wake()
    })
  }

  /** In each turn. */
  goOn(): void {
    const { answered, next } = this
    if (next === null || !answered) return
    this.next = null
    this.stop = null
    next()
    if (this.next === null) this.permissions.settle()
  }

  close(): void {
    this.next = null
    this.stop?.()
    this.stop = null
  }
}
