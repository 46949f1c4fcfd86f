// %u and %c of a rule's topic become the names of a client. Pure. Invariant: a name is one level and no wildcard, and opens no topic that
// begins with "$"; where it cannot be that, the topic is none for the client.
import type { Subject, TopicSpec } from "./Rule.ts"
import { isPlainLevel } from "./topicRelations.ts"

/** Whether the topic differs from client to client. */
export const isPersonal = ({ filter, placeholders }: TopicSpec): boolean =>
  placeholders === "anywhere" ? /%[uc]/.test(filter) : placeholders === "levels" && /(?:^|\/)%[uc](?:\/|$)/.test(filter)

/** Null: the topic is none for this client. `allows`: a rule that allows is the stricter one with names. */
export const substitute = ({ filter, placeholders }: TopicSpec, subject: Subject, allows: boolean): string | null => {
  const put = placeholders === "levels" ? putLevels(filter, subject) : putAnywhere(filter, subject, allows)
  // A name that was put in front must not open what is hidden: %c/# for a client called $SYS.
  return put !== null && allows && put.startsWith("$") && !filter.startsWith("$") ? null : put
}

const valueOf = (placeholder: string, { clientId, userName }: Subject): string | undefined =>
  placeholder === "%u" ? userName : clientId

const putLevels = (filter: string, subject: Subject): string | null => {
  const levels = filter.split("/")
  for (const [index, level] of levels.entries()) {
    if (level !== "%u" && level !== "%c") continue
    const value = valueOf(level, subject)
    if (value === undefined || !isPlainLevel(value)) return null
    levels[index] = value
  }
  return levels.join("/")
}

/** As Mosquitto, which takes a name with a slash for several levels; we do so only where that denies. */
const putAnywhere = (filter: string, subject: Subject, allows: boolean): string | null => {
  let missing = false
  const put = filter.replace(/%[uc]/g, (placeholder) => {
    const value = valueOf(placeholder, subject)
    if (value === undefined || (allows && !isPlainLevel(value))) missing = true
    return value ?? ""
  })
  return missing ? null : put
}
