// "did you mean …": the known key that an unknown one was most likely meant to be. Pure.

/** Edits (insert, delete, replace, swap of neighbours) between two words. */
const distance = (a: string, b: string): number => {
  let before: Array<number> = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let edits = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        edits = Math.min(edits, (before[j - 2] ?? 0) + 1)
      }
      row.push(edits)
    }
    before = last
    last = row
  }
  return last[b.length] ?? 0
}

const plain = (word: string): string => word.toLowerCase().replaceAll(/[-_. ]/g, "")

/** The nearest of `known`, when it is near enough to be a slip: a third of its letters, or a part of it. */
export const nearest = (word: string, known: Iterable<string>): string | undefined => {
  let best: string | undefined
  let least = Infinity
  for (const candidate of known) {
    const a = plain(word)
    const b = plain(candidate)
    const isPart = a.length >= 4 && (b.includes(a) || (a.includes(b) && b.length * 2 >= a.length))
    const edits = a === b ? 0 : isPart ? 1 : distance(a, b)
    if (edits < least && edits <= Math.max(1, Math.floor(b.length / 3))) {
      best = candidate
      least = edits
    }
  }
  return best
}
