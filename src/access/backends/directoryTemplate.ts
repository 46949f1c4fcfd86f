// Names of entries and filters of LDAP with placeholders (`uid=%u,ou=people,dc=example,dc=org`, `(&(uid=%u)(objectClass=person))`). Pure.
// Invariant: a value is one attribute's value, whatever is in it (RFC 4514, RFC 4515): all but letters, digits, ".", "_", "-", "@"
// and what is not ASCII is written as its code.
import { cutTemplate, fill, type Names, type Piece } from "./placeholders.ts"

export type DirectoryTemplate = ReadonlyArray<Piece>

export const parseDirectoryTemplate = (template: string): DirectoryTemplate => cutTemplate(template)

/** A value as it stands in a name or in a filter: the form is that of both. */
export const directoryValue = (value: string): string =>
  value.replace(/[^A-Za-z0-9._@\u0080-\u{10ffff}-]/gu, (c) => `\\${c.charCodeAt(0).toString(16).padStart(2, "0")}`)

/** Undefined: a value is missing or empty, so nobody is meant. */
export const directoryText = (template: DirectoryTemplate, names: Names): string | undefined => {
  const missing = template.some((piece) => "placeholder" in piece && fill([piece], names) === "")
  return missing ? undefined : fill(template, names, directoryValue)
}
