// Whose a session is, in a form that travels between nodes and has a bound: by it two user names are told apart, whatever is in them. Plain.
// Invariant: two have the same mark if and only if they are the same name, or both have none.
import { createHash } from "node:crypto"

/** At most 45 characters. `userName`: null where the client gave none. */
export const userMark = (userName: string | null): string =>
  userName === null ? "-" : `+${createHash("sha256").update(userName, "utf16le").digest("base64")}`
