// Regular expressions for user names and client ids. Not the runtime's: theirs go back and try again, and a name that a stranger
// chose could keep the process busy. This one is a Thompson machine: time is the length of the name times the size of the
// expression, whatever both are. Invariant: the whole name has to match.
import { type Item, parsePattern } from "./parsePattern.ts"

/** Characters (UTF-16 units) of a name that is still judged; a longer one matches nobody knows what. */
export const maxJudgedLength = 1024

/** One state: takes a character and goes on to `next`, or goes on to `next` and `other` without one. */
interface State {
  readonly accepts: ((code: number) => boolean) | undefined
  next: number
  other: number
}

const none = -1

export class NamePattern {
  readonly source: string
  private readonly states: ReadonlyArray<State>
  private readonly first: number
  private readonly last: number

  private constructor(source: string, states: ReadonlyArray<State>, first: number, last: number) {
    this.source = source
    this.states = states
    this.first = first
    this.last = last
  }

  /** The text says what is wrong with the expression. */
  static parse(source: string): NamePattern | string {
    const parsed = parsePattern(source)
    if (typeof parsed === "string") return parsed
    const states: Array<State> = []
    const last = add(states, undefined, none, none)
    const first = build(states, parsed, last)
    return new NamePattern(source, states, first, last)
  }

  /** Undefined: the name is too long to be judged. */
  matches(name: string): boolean | undefined {
    if (name.length > maxJudgedLength) return undefined
    let current = new Set<number>()
    this.reach(this.first, current)
    for (let i = 0; i < name.length && current.size > 0; i++) {
      const code = name.charCodeAt(i)
      const following = new Set<number>()
      for (const index of current) {
        const state = this.states[index]
        if (state?.accepts?.(code) === true) this.reach(state.next, following)
      }
      current = following
    }
    return current.has(this.last)
  }

  /** Adds the state and all that are reached from it without a character. */
  private reach(from: number, into: Set<number>): void {
    const open = [from]
    for (let index = open.pop(); index !== undefined; index = open.pop()) {
      if (index === none || into.has(index)) continue
      into.add(index)
      const state = this.states[index]
      if (state !== undefined && state.accepts === undefined) open.push(state.next, state.other)
    }
  }
}

const add = (states: Array<State>, accepts: State["accepts"], next: number, other: number): number =>
  states.push({ accepts, next, other }) - 1

/** The states of `item`, built from its end, so that each knows where it goes on to; gives the one to begin with. */
const build = (states: Array<State>, item: Item, next: number): number => {
  switch (item._tag) {
    case "One":
      return add(states, item.accepts, next, none)
    case "Sequence":
      return item.items.reduceRight((following, one) => build(states, one, following), next)
    case "Choice":
      return item.items.map((one) => build(states, one, next)).reduce((left, right) =>
        add(states, undefined, left, right)
      )
    case "Repeat": {
      let following = next
      if (item.most === Infinity) {
        const loop = add(states, undefined, none, next)
        const body = states[loop]
        if (body !== undefined) body.next = build(states, item.item, loop)
        following = loop
      } else {
        for (let n = item.least; n < item.most; n++) {
          following = add(states, undefined, build(states, item.item, following), next)
        }
      }
      for (let n = 0; n < item.least; n++) following = build(states, item.item, following)
      return following
    }
    default:
      return item satisfies never
  }
}
