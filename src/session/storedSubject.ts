// Who a will is published for, as a text in the store: what the access rules ask of a client, and the mount point in its topic.
// Invariant: of a client's own rules (its token's) only what they say of this will is stored; what the text does not say is unknown.
import { RuleSet } from "../access/rules/RuleSet.ts"
import { anyQoS, nobodyKnown, type RuleFile, type Subject } from "../access/rules/Rule.ts"
import type { Will } from "../mqtt/Packet.ts"
import { unmountedTopic } from "./mountpoint.ts"

/** "": no more than the client id is known. */
export const subjectText = (subject: Subject | undefined, mountpoint: string, will: Will): string => {
  const { address, certificateName, listener, superuser, userName } = subject ?? nobodyKnown("")
  const fields: Array<string | boolean | null> = [
    userName ?? null,
    listener ?? null,
    address ?? null,
    certificateName ?? null,
    superuser,
    mountpoint
  ]
  const own = subject === undefined ? undefined : ownDecision(subject, mountpoint, will)
  if (own !== undefined) fields.push(own)
  // Whether it still is a superuser is asked when the will takes effect.
  if (superuser && subject?.by !== undefined) fields.push(...own === undefined ? [null] : [], subject.by)
  const says = own !== undefined || fields.some((field) => field !== null && field !== false && field !== "")
  return says ? JSON.stringify(fields) : ""
}

export const storedSubject = (
  text: string,
  clientId: string
): { readonly subject: Subject; readonly mountpoint: string } => {
  const fields = fieldsOf(text)
  const at = (index: number) => {
    const field = fields[index]
    return typeof field === "string" ? field : undefined
  }
  const subject: Subject = {
    clientId,
    userName: at(0),
    listener: at(1),
    address: at(2),
    certificateName: at(3),
    superuser: fields[4] === true,
    rules: typeof fields[6] === "boolean" ? decided(fields[6]) : undefined,
    by: at(7)
  }
  return { subject, mountpoint: at(5) ?? "" }
}

/** What its own rules say of its will; undefined: it has none, or they say nothing. */
const ownDecision = (subject: Subject, mountpoint: string, { qos, retain, topic }: Will): boolean | undefined =>
  subject.rules === undefined
    ? undefined
    : new RuleSet(subject.rules).for(subject).publish(unmountedTopic(mountpoint, topic), qos, retain)?.allowed

const decided = (allowed: boolean): RuleFile => ({
  file: "the rules of its own at its CONNECT",
  dialect: "first_match",
  rules: [{
    effect: allowed ? "allow" : "deny",
    who: { _tag: "All" },
    action: "publish",
    topics: undefined,
    qos: anyQoS,
    retain: undefined,
    line: 0
  }]
})

const fieldsOf = (text: string): ReadonlyArray<unknown> => {
  if (text === "") return []
  try {
    const fields: unknown = JSON.parse(text)
    return Array.isArray(fields) ? fields : []
  } catch {
    return []
  }
}
