// Which member looks after a key: each member's name is hashed with the key, the highest hash has it. Plain function. Invariant: when a member comes
// or goes, only the keys that it gets or had move; all nodes that see the same members agree.

/** FNV-1a over UTF-16 units. */
const hash = (text: string, seed: number): number => {
  let h = seed
  for (let index = 0; index < text.length; index++) h = Math.imul(h ^ text.charCodeAt(index), 0x01000193)
  return h
}

const mixed = (h: number): number => {
  let x = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

/** Cost: one mix a member. `members`: not empty. */
export const rendezvous = (members: ReadonlyArray<string>, key: string): string => {
  const keyHash = hash(key, 0x811c9dc5)
  let best = ""
  let highest = -1
  for (const member of members) {
    const score = mixed(hash(member, keyHash))
    if (score > highest || (score === highest && member < best)) {
      highest = score
      best = member
    }
  }
  return best
}
