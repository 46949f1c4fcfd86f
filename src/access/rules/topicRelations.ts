// How topic filters stand to names and to each other: matches, covers, overlaps. Pure, on the texts as they are: nothing is split and
// nothing is made. Both sides are valid. Invariant: a leading wildcard has nothing to do with names that begin with "$" (section 4.7.2).

const slash = 0x2f
const plus = 0x2b
const hash = 0x23
const dollar = 0x24

const levelEnd = (text: string, start: number): number => {
  const end = text.indexOf("/", start)
  return end === -1 ? text.length : end
}

/** Whether the level text[start..end) is the one character `wildcard`. */
const isLevel = (text: string, start: number, end: number, wildcard: number): boolean =>
  end === start + 1 && text.charCodeAt(start) === wildcard

/** Whether text[start..] is "#", the last level. */
const isRest = (text: string, start: number): boolean => start === text.length - 1 && text.charCodeAt(start) === hash

const sameLevel = (a: string, aStart: number, aEnd: number, b: string, bStart: number, bEnd: number): boolean => {
  if (aEnd - aStart !== bEnd - bStart) return false
  for (let i = aStart, j = bStart; i < aEnd; i++, j++) if (a.charCodeAt(i) !== b.charCodeAt(j)) return false
  return true
}

const startsHidden = (text: string): boolean => text.charCodeAt(0) === dollar
const startsWild = (text: string): boolean => {
  const first = text.charCodeAt(0)
  return first === plus || first === hash
}

/**
 * Whether `filter` matches the name. Given a filter in place of the name, its wildcards are levels like others: what the
 * original does with a SUBSCRIBE.
 */
export const matchesName = (filter: string, name: string): boolean => {
  if (startsHidden(name) && startsWild(filter)) return false
  let f = 0
  let n = 0
  for (;;) {
    if (isRest(filter, f)) return true
    const fEnd = levelEnd(filter, f)
    const nEnd = levelEnd(name, n)
    if (!isLevel(filter, f, fEnd, plus) && !sameLevel(filter, f, fEnd, name, n, nEnd)) return false
    if (nEnd === name.length) return fEnd === filter.length || isRest(filter, fEnd + 1)
    if (fEnd === filter.length) return false
    f = fEnd + 1
    n = nEnd + 1
  }
}

/** Whether `wide` matches every name that `narrow` matches. */
export const covers = (wide: string, narrow: string): boolean => {
  if (startsHidden(narrow) && startsWild(wide)) return false
  let w = 0
  let n = 0
  for (;;) {
    if (isRest(wide, w)) return true
    if (isRest(narrow, n)) return alwaysHasLevel(narrow, n) && wide.length === w + 3 && wide.startsWith("+/#", w)
    const wEnd = levelEnd(wide, w)
    const nEnd = levelEnd(narrow, n)
    if (!isLevel(wide, w, wEnd, plus) && !sameLevel(wide, w, wEnd, narrow, n, nEnd)) return false
    if (nEnd === narrow.length) return wEnd === wide.length || isRest(wide, wEnd + 1)
    if (wEnd === wide.length) return false
    w = wEnd + 1
    n = nEnd + 1
  }
}

/** Whether "#" at `start` stands for one level at least: the name would be empty without it. */
const alwaysHasLevel = (filter: string, start: number): boolean =>
  start === 0 || (start === 1 && filter.charCodeAt(0) === slash)

/** Whether there is a name that both match. */
export const overlaps = (a: string, b: string): boolean => {
  if ((startsHidden(a) && startsWild(b)) || (startsHidden(b) && startsWild(a))) return false
  let i = 0
  let j = 0
  for (;;) {
    if (isRest(a, i) || isRest(b, j)) return true
    const iEnd = levelEnd(a, i)
    const jEnd = levelEnd(b, j)
    if (!isLevel(a, i, iEnd, plus) && !isLevel(b, j, jEnd, plus) && !sameLevel(a, i, iEnd, b, j, jEnd)) return false
    // "/#" begins with a level that is empty, and no name is: "+" has nothing in common with it.
    if (iEnd === a.length) return jEnd === b.length || (jEnd > 0 && isRest(b, jEnd + 1))
    if (jEnd === b.length) return iEnd > 0 && isRest(a, iEnd + 1)
    i = iEnd + 1
    j = jEnd + 1
  }
}

/** What may stand in for %u or %c: with any of these it would be more than one level, or a wildcard. */
export const isPlainLevel = (value: string): boolean => {
  for (let i = 0; i < value.length; i++) {
    const c = value.charCodeAt(i)
    if (c === slash || c === plus || c === hash || c === 0) return false
  }
  return true
}
