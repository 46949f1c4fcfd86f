// SASLprep (RFC 4013): the one form of a user name or password that is written in several ways, so that both ends of SCRAM compute with the
// same bytes. Pure. Code points of later versions of Unicode than 3.2 are taken as NFKC leaves them.

/** U+00AD and the other characters that RFC 3454 table B.1 takes away. */
const takenAway =
  /[\u{ad}\u{1806}\u{200b}\u{2060}\u{feff}]|\u{34f}|\u{200c}|\u{200d}|[\u{180b}-\u{180d}]|[\u{fe00}-\u{fe0f}]/gu
/** Spaces that are not the ASCII one: table C.1.2. */
const otherSpaces = /[\u{a0}\u{1680}\u{2000}-\u{200b}\u{202f}\u{205f}\u{3000}]/gu
/** Tables C.2.1 to C.9: controls, private use, no characters, surrogates, what changes the display. */
const prohibited =
  /[\p{Cc}\p{Co}\p{Cs}\p{Noncharacter_Code_Point}\u{6dd}\u{70f}\u{180e}\u{2028}\u{2029}\u{2060}-\u{2063}\u{206a}-\u{206f}\u{feff}\u{fff9}-\u{fffd}\u{1d173}-\u{1d17a}\u{2ff0}-\u{2ffb}\u{200e}\u{200f}\u{202a}-\u{202e}\u{e0001}\u{e0020}-\u{e007f}]/u
/** Letters that are written from right to left: tables D.1 and, as what they must not be mixed with, all other letters (D.2). */
const rightToLeft = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}]/u
const isLetter = /\p{L}/u

/** Undefined: it holds what SASLprep prohibits. */
export const saslprep = (text: string): string | undefined => {
  if (/^[\x20-\x7e]*$/.test(text)) return text
  const prepared = text.replace(otherSpaces, " ").replace(takenAway, "").normalize("NFKC")
  if (prohibited.test(prepared)) return undefined
  if (!rightToLeft.test(prepared)) return prepared
  const characters = [...prepared]
  const isMixed = characters.some((one) => isLetter.test(one) && !rightToLeft.test(one))
  const edges = [characters[0] ?? "", characters.at(-1) ?? ""]
  return isMixed || !edges.every((edge) => rightToLeft.test(edge)) ? undefined : prepared
}

/** What is computed with: a text that SASLprep prohibits as it is, as other servers do. */
export const prepared = (text: string): string => saslprep(text) ?? text
