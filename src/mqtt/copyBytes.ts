import type { Buffer } from "node:buffer"

/** Copies source[start..end) to target[at…); a few bytes one by one: there a native call costs more than the copy. */
export const copyBytes = (source: Buffer, start: number, end: number, target: Buffer, at: number): void => {
  if (end - start > 16) source.copy(target, at, start, end)
  else for (let i = start, j = at; i < end; i++, j++) target[j] = source[i] as number
}
