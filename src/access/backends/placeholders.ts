// The original's placeholders in queries, commands and names of entries: %u user name, %c client id, %a address, %P password, %C and %d
// common name and subject of the client's certificate. Pure. Invariant: a text is cut into pieces before a value is known, so no
// value is ever looked at for placeholders.
import { isUtf8 } from "node:buffer"

export type Placeholder = "%u" | "%c" | "%a" | "%P" | "%C" | "%d"

/** A piece of a template: text as it is, or what stands in for a value. */
export type Piece = { readonly text: string } | { readonly placeholder: Placeholder }

/** Who asks, for the placeholders. Undefined: there is no such thing, and what needs it finds nothing. */
export interface Names {
  readonly clientId: string
  readonly userName: string | undefined
  readonly address: string | undefined
  readonly certificateName: string | undefined
  readonly certificateSubject: string | undefined
  /** Undefined too where its bytes are no text. */
  readonly password: string | undefined
}

const known: ReadonlyArray<string> = ["%u", "%c", "%a", "%P", "%C", "%d"] satisfies ReadonlyArray<Placeholder>
const isPlaceholder = (text: string): text is Placeholder => known.includes(text)

/** "%%" is one "%"; a "%" before any other letter is itself. */
export const cutTemplate = (template: string): ReadonlyArray<Piece> => {
  const pieces: Array<Piece> = []
  let text = ""
  for (let i = 0; i < template.length; i++) {
    const two = template.slice(i, i + 2)
    if (two === "%%") {
      text += "%"
      i++
    } else if (isPlaceholder(two)) {
      if (text !== "") pieces.push({ text })
      pieces.push({ placeholder: two })
      text = ""
      i++
    } else text += template[i]
  }
  if (text !== "") pieces.push({ text })
  return pieces
}

export const placeholdersIn = (pieces: ReadonlyArray<Piece>): ReadonlySet<Placeholder> =>
  new Set(pieces.flatMap((piece) => "placeholder" in piece ? [piece.placeholder] : []))

export const valueOf = (placeholder: Placeholder, names: Names): string | undefined => {
  switch (placeholder) {
    case "%u":
      return names.userName
    case "%c":
      return names.clientId
    case "%a":
      return names.address === undefined ? undefined : unmapped(names.address)
    case "%P":
      return names.password
    case "%C":
      return names.certificateName
    case "%d":
      return names.certificateSubject
    default:
      return placeholder satisfies never
  }
}

/** The pieces with their values in them, each as `escape` writes it. Undefined: a value is missing, or has a NUL in it. */
export const fill = (
  pieces: ReadonlyArray<Piece>,
  names: Names,
  escape: (value: string) => string = (value) => value
): string | undefined => {
  let text = ""
  for (const piece of pieces) {
    if ("text" in piece) text += piece.text
    else {
      const value = valueOf(piece.placeholder, names)
      if (value === undefined || value.includes("\0")) return undefined
      text += escape(value)
    }
  }
  return text
}

/** An IPv4 address as such, also where a socket for both gives it mapped into IPv6. */
const unmapped = (address: string): string => /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address

/** Undefined where the bytes are no text: such a password fits nothing that is kept as text. */
export const passwordText = (password: Uint8Array | undefined): string | undefined =>
  password !== undefined && isUtf8(password) ? Buffer.from(password).toString("utf8") : undefined
