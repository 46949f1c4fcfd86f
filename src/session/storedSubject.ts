// Who a will is published for, as a text in the store: what the access rules ask of a client, and the mount point in its topic.
// Invariant: of a client's own rules nothing is stored; what the text does not say is unknown.
import { nobodyKnown, type Subject } from "../access/rules/Rule.ts"

/** "": no more than the client id is known. */
export const subjectText = (subject: Subject | undefined, mountpoint: string): string => {
  const { address, certificateName, listener, superuser, userName } = subject ?? nobodyKnown("")
  const fields = [userName ?? null, listener ?? null, address ?? null, certificateName ?? null, superuser, mountpoint]
  return fields.some((field) => field !== null && field !== false && field !== "") ? JSON.stringify(fields) : ""
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
    superuser: fields[4] === true
  }
  return { subject, mountpoint: at(5) ?? "" }
}

const fieldsOf = (text: string): ReadonlyArray<unknown> => {
  if (text === "") return []
  try {
    const fields: unknown = JSON.parse(text)
    return Array.isArray(fields) ? fields : []
  } catch {
    return []
  }
}
