// All sources of rules in their order, and what holds when none decides. One object a set of settings and files; a reload makes a new one
// and puts it in place of the old. Invariant: the first source with a matching rule decides; a superuser is asked nothing.
import type { AuthorizationSettings } from "../../config/Settings.ts"
import { AskedRules, type AskedSource } from "./AskedRules.ts"
import type { ClientRules } from "./ClientRules.ts"
import { FetchedSource } from "./FetchedRules.ts"
import type { FetchedRules } from "./FetchedRules.ts"
import type { Decision, RuleFile, Subject } from "./Rule.ts"
import { RuleSet } from "./RuleSet.ts"

export type RuleOptions = Pick<AuthorizationSettings, "noMatch" | "denyCovers">

/** Stands where the rules are asked that a client has brought along; where it does not stand, they are asked first. */
export const ownRules = { file: "jwt", isOwn: true } as const

/** Rules in a file, or where they are asked for or fetched from. */
export type RuleSourceInForce = RuleFile | RuleSet | AskedSource | FetchedSource | typeof ownRules
/** Those of one client. */
export type RulesInForce = ClientRules | AskedRules | FetchedRules

export class Authorization {
  private static last = 0
  /** Tells it from all others, without keeping it in memory. */
  readonly serial = ++Authorization.last
  readonly denyCovers: boolean
  readonly noMatch: Decision
  private readonly options: RuleOptions
  private readonly sets: ReadonlyArray<Exclude<RuleSourceInForce, RuleFile>>
  /** Some answers have to be fetched: a decision may be `awaited`. */
  readonly awaits: boolean

  constructor(files: ReadonlyArray<RuleSourceInForce>, options: RuleOptions) {
    const { denyCovers, noMatch } = options
    this.options = options
    this.sets = files.map((file) => "rules" in file ? new RuleSet(file) : file)
    this.awaits = this.sets.some((set) => !(set instanceof RuleSet) && set !== ownRules)
    this.denyCovers = denyCovers
    this.noMatch = {
      allowed: noMatch === "allow",
      file: undefined,
      line: 0,
      by: `authorization.no_match = "${noMatch}"`
    }
  }

  /** The same with other rules where those of this name are; where there are none, as it is. */
  replacing(file: RuleFile): Authorization {
    return new Authorization(this.sets.map((set) => set.file === file.file ? file : set), this.options)
  }

  /** Whether rules of this name are asked. */
  asks(file: string): boolean {
    return this.sets.some((set) => set.file === file)
  }

  rulesFor(subject: Subject): ReadonlyArray<RulesInForce> {
    const own = subject.rules === undefined ? [] : [new RuleSet(subject.rules).for(subject)]
    const rules = this.sets.flatMap((set): RulesInForce | ReadonlyArray<RulesInForce> =>
      "isOwn" in set
        ? own
        : set instanceof RuleSet || set instanceof FetchedSource
        ? set.for(subject)
        : new AskedRules(set, subject)
    )
    return this.sets.includes(ownRules) ? rules : [...own, ...rules]
  }
}

/** Where the Authorization in force is found; a reload replaces it. */
export interface InForce {
  authorization: Authorization
  /** Called when other rules have been put in place between two reloads: who is connected is to be judged again. */
  replaced?: () => void
}

export const superuser: Decision = { allowed: true, file: undefined, line: 0, by: "superuser" }

/** Of a PUBLISH under `$SYS`, whatever the rules say, and of superusers too: what stands there is the broker's word. */
export const brokersOwn: Decision = {
  allowed: false,
  file: undefined,
  line: 0,
  by: "$SYS: only the broker publishes there"
}
