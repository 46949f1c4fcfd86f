/**
 * One walk over a range of bytes that says whether it is well-formed UTF-8 and what the protocol cares about in it.
 * Everybody who takes a string off the wire comes here first, so no ill-formed text is ever made into a string.
 */

/** The range is not well-formed UTF-8: overlong, truncated, a surrogate, or beyond U+10FFFF. */
export const illFormed = -1
/** U+0000 was seen. */
export const sawNull = 1
/** A byte above 0x7F was seen. */
export const sawNonAscii = 2
/** '+' or '#' was seen. */
export const sawWildcard = 4

/**
 * `illFormed`, or the sum of what was seen. U+FEFF counts as any other character [MQTT-1.5.3-3] [MQTT-1.5.4-3].
 */
export const scanUtf8 = (buffer: Uint8Array, start: number, end: number): number => {
  let seen = 0
  let i = start
  while (i < end) {
    const lead = buffer[i] as number
    if (lead < 0x80) {
      if (lead === 0) seen |= sawNull
      else if (lead === 0x23 || lead === 0x2b) seen |= sawWildcard
      i++
      continue
    }
    seen |= sawNonAscii
    if (lead < 0xc2 || lead > 0xf4) return illFormed
    const following = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3
    if (i + following >= end) return illFormed
    const second = buffer[i + 1] as number
    // The second byte is where overlong forms, surrogates (U+D800..U+DFFF) and too large code points show.
    const lowest = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
    const highest = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
    if (second < lowest || second > highest) return illFormed
    for (let k = 2; k <= following; k++) {
      if (((buffer[i + k] as number) & 0xc0) !== 0x80) return illFormed
    }
    i += following + 1
  }
  return seen
}

/** For payloads with Payload Format Indicator 1: U+0000 is allowed there. */
export const isValidUtf8 = (buffer: Uint8Array, start: number, end: number): boolean =>
  scanUtf8(buffer, start, end) !== illFormed
