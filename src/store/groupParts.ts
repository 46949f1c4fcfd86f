// A group of changes taken apart into the smallest parts that may be committed one by one, and put together again. For the group on which
// an engine fails. Invariant: in the order of `partsOf`, and in any division of it, they say the same as the group.
import { type Changes, type DeliveryRow, growingChanges } from "./Engine.ts"

/** One row, or a message with all its deliveries: it is there exactly as long as they are. */
export interface Part {
  readonly changes: Partial<Changes>
  /** For the log. */
  readonly kind: string
  readonly row: unknown
}

const isOfMessages = (name: string) => name === "messages" || name === "deliveries"

export const partsOf = (changes: Changes): ReadonlyArray<Part> => {
  const parts: Array<Part> = []
  for (const [kind, rows] of Object.entries(changes)) {
    if (kind === "messages") parts.push(...messagesOf(changes))
    if (!isOfMessages(kind)) { for (const row of rows) parts.push({ changes: { [kind]: [row] }, kind, row }) }
  }
  return parts
}

const messagesOf = ({ deliveries, messages }: Changes): ReadonlyArray<Part> => {
  const owed = Map.groupBy(deliveries, ({ message }) => message)
  const parts = messages.map((row): Part => {
    const own: ReadonlyArray<DeliveryRow> = owed.get(row.message) ?? []
    owed.delete(row.message)
    return { changes: { messages: [row], deliveries: own }, kind: "messages", row }
  })
  const rest = [...owed.values()].flat().map((row): Part => ({
    changes: { deliveries: [row] },
    kind: "deliveries",
    row
  }))
  return [...parts, ...rest]
}

export const merged = (parts: ReadonlyArray<Part>): Changes => {
  const all: { [part: string]: Array<unknown> } = { ...growingChanges() }
  for (const { changes } of parts) {
    for (const [kind, rows] of Object.entries(changes)) for (const row of rows) all[kind]?.push(row)
  }
  return { ...growingChanges(), ...all }
}

/** What an operator can find it by: the texts and numbers of its row, and how large it is. */
export const describePart = ({ kind, row }: Part): { readonly [field: string]: string | number } => {
  const fields: { [field: string]: string | number } = { part: kind }
  const add = (value: unknown) => {
    if (typeof value !== "object" || value === null) return
    for (const [name, field] of Object.entries(value)) {
      if (typeof field === "string" || typeof field === "number") fields[name] = field
      else if (field instanceof Uint8Array) fields[`${name}_bytes`] = field.length
      else if (name === "message") add(field)
    }
  }
  if (typeof row === "number") fields["session"] = row
  add(row)
  return fields
}
