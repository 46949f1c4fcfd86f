/**
 * The variable byte integer of section 1.5.5: seven bits a byte, least significant first, at most four bytes.
 */

export const largestVariableByteInteger = 268_435_455

export const variableByteIntegerSize = (value: number): number =>
  value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4

/** Returns the position after it. */
export const writeVariableByteInteger = (buffer: Uint8Array, at: number, value: number): number => {
  while (value >= 128) {
    buffer[at++] = (value & 0x7f) | 0x80
    value >>>= 7
  }
  buffer[at++] = value
  return at
}
