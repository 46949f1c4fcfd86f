// A CONNECT from when it is read until its CONNACK: who it says it is, the answer of the authentication chain, and the terms on which it
// comes in. Owned by one Connection, gone with its CONNACK. Invariant: the chain is asked once, and not answered to when the client went.
import type { Authentication, Awaited, Verdict } from "../access/authentication/Authentication.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import type { Admission, Applicant } from "./admission.ts"

export class Arrival {
  readonly applicant: Applicant
  /** Set once it is let in. */
  admission: Admission | undefined
  private chain: Authentication | undefined
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
    this.chain = chain
    this.awaited = answer
    return undefined
  }

  /** Once, when it has come. `chain`: of now; a reload may have put it in place of the one that was asked. */
  takeVerdict(chain: Authentication): Verdict | undefined {
    const { verdict } = this
    if (verdict === undefined) return undefined
    this.verdict = undefined
    this.awaited = undefined
    if (verdict._tag === "Deny" || chain === this.chain) return verdict
    const { credentials } = this.applicant
    const clientId = verdict.clientId ?? credentials.clientId
    const userName = verdict.userName ?? credentials.userName
    const { by, superuser } = verdict
    if (chain.stillAllows(by, { ...credentials, clientId, userName, superuser })) return verdict
    return { _tag: "Deny", reasonCode: ReasonCode.NotAuthorized, reason: `${by} does not let it in any more`, by: "" }
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
