// A number for a text, the same on every node and in every version: for choosing a member, a bucket, a node, and for digests. Plain functions.

export const fnvBasis = 0x811c9dc5

/** FNV-1a over UTF-16 units; may be negative. */
export const fnv1a = (text: string, seed = fnvBasis): number => {
  let h = seed
  for (let index = 0; index < text.length; index++) h = Math.imul(h ^ text.charCodeAt(index), 0x01000193)
  return h
}

/** Every bit of the answer depends on every bit of `h` (the finalizer of MurmurHash3); never negative. */
export const mixed = (h: number): number => {
  let x = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}
