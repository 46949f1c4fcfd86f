// A CONNECT from when it is read until its CONNACK: who it says it is, the answer of the authentication chain, and the terms on which it
// comes in. Owned by one Connection, gone with its CONNACK. Invariant: the chain is asked once, and not answered to when the client went.
import type { Authentication, Awaited, Verdict } from "../access/authentication/Authentication.ts"
import type { Admission, Applicant } from "./admission.ts"

export class Arrival {
  readonly applicant: Applicant
  /** Set once it is let in. */
  admission: Admission | undefined
  private verdict: Verdict | undefined
  private awaited: Awaited | undefined

  constructor(applicant: Applicant) {
    this.applicant = applicant
  }

  /** The answer; undefined: `answered` is called once it is there to be taken. */
  ask(chain: Authentication, answered: () => void): Verdict | undefined {
    const answer = chain.ask(this.applicant.credentials, (verdict) => {
      this.verdict = verdict
      answered()
    })
    if (answer._tag !== "Awaited") return answer
    this.awaited = answer
    return undefined
  }

  /** Once, when it has come. */
  takeVerdict(): Verdict | undefined {
    const { verdict } = this
    if (verdict === undefined) return undefined
    this.verdict = undefined
    this.awaited = undefined
    return verdict
  }

  /** Nobody has said yet who it is. */
  get isUnknown(): boolean {
    return this.awaited !== undefined
  }

  /** The connection is over. */
  cancel(): void {
    this.awaited?.cancel()
    this.awaited = undefined
  }
}
