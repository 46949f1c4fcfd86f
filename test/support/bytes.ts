// A small notation for exact bytes, so that a test shows what is on the wire: hex digits, 'text' as raw ASCII, "text" as an MQTT
// string with its two length bytes, and frame() to put the fixed header with its remaining length in front.

const token = /\s+|"([^"]*)"|'([^']*)'|((?:[0-9a-fA-F]{2})+)/y

/** `bytes('00 04 "MQTT" 05')`; numbers and buffers may stand between the parts of the notation. */
export const bytes = (...parts: ReadonlyArray<string | number | Uint8Array>): Buffer =>
  Buffer.concat(parts.map((part) => {
    if (typeof part === "number") return Buffer.of(part)
    if (typeof part !== "string") return part
    const pieces: Array<Uint8Array> = []
    token.lastIndex = 0
    while (token.lastIndex < part.length) {
      const at = token.lastIndex
      const match = token.exec(part)
      if (match === null) throw new Error(`not the bytes notation: ${part.slice(at)}`)
      if (match[1] !== undefined) pieces.push(text(match[1]))
      else if (match[2] !== undefined) pieces.push(Buffer.from(match[2]))
      else if (match[3] !== undefined) pieces.push(Buffer.from(match[3], "hex"))
    }
    return Buffer.concat(pieces)
  }))

/** An MQTT string or binary data: two bytes of length, then the content. */
export const text = (content: string | Uint8Array): Buffer => {
  const body = Buffer.from(content)
  return Buffer.concat([Buffer.of(body.length >> 8, body.length & 0xff), body])
}

export const variableByteInteger = (value: number): Buffer => {
  const out: Array<number> = []
  do {
    out.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0))
    value >>>= 7
  } while (value > 0)
  return Buffer.from(out)
}

/** A whole packet: the header byte, the remaining length as it should be, the body. */
export const frame = (header: number, ...body: ReadonlyArray<string | number | Uint8Array>): Buffer => {
  const content = bytes(...body)
  return Buffer.concat([Buffer.of(header), variableByteInteger(content.length), content])
}

/** Properties of MQTT 5 with their length in front. */
export const properties = (...parts: ReadonlyArray<string | number | Uint8Array>): Buffer => {
  const content = bytes(...parts)
  return Buffer.concat([variableByteInteger(content.length), content])
}

export const shown = (data: Uint8Array): string =>
  Buffer.from(data.subarray(0, 64)).toString("hex").replace(/(..)(?=.)/g, "$1 ") +
  (data.length > 64 ? ` … (${data.length})` : "")
