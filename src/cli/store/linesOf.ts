// The lines of an open file, one after the other, without all of it in memory.
import * as fs from "node:fs"
import { StringDecoder } from "node:string_decoder"

const chunkSize = 1 << 20

export function* linesOf(handle: number): Generator<string, void> {
  const decoder = new StringDecoder("utf8")
  const chunk = new Uint8Array(chunkSize)
  let rest = ""
  while (true) {
    const size = fs.readSync(handle, chunk, 0, chunkSize, null)
    if (size === 0) break
    const lines = (rest + decoder.write(chunk.subarray(0, size))).split("\n")
    rest = lines.pop() ?? ""
    yield* lines
  }
  rest += decoder.end()
  if (rest !== "") yield rest
}
