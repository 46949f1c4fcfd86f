// Which member looks after a key: each member's name is hashed with the key, the highest hash has it. Plain function. Invariant: when a member comes
// or goes, only the keys that it gets or had move; all nodes that see the same members agree.
import { fnv1a, mixed } from "../../router/textHash.ts"

/** Cost: one mix a member. `members`: not empty. */
export const rendezvous = (members: ReadonlyArray<string>, key: string): string => {
  const keyHash = fnv1a(key)
  let best = ""
  let highest = -1
  for (const member of members) {
    const score = mixed(fnv1a(member, keyHash))
    if (score > highest || (score === highest && member < best)) {
      highest = score
      best = member
    }
  }
  return best
}
