// Who holds a session: its client as the access rules know it, and the mount point of its topics. Plain data.
import type { Subject } from "../access/rules/Rule.ts"

export interface Holder {
  readonly subject: Subject
  readonly mountpoint: string
}

/** The rules have no reason to answer one otherwise than the other. */
export const sameHolder = (a: Holder, b: Holder): boolean =>
  a.mountpoint === b.mountpoint && a.subject.clientId === b.subject.clientId &&
  a.subject.userName === b.subject.userName && a.subject.address === b.subject.address &&
  a.subject.listener === b.subject.listener && a.subject.certificateName === b.subject.certificateName &&
  a.subject.superuser === b.subject.superuser && a.subject.rules === b.subject.rules
