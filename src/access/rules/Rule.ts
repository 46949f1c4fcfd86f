// What an access rule is, whichever file it was written in: plain data. The parsers make rules, ClientRules.ts asks them.
// Invariant: every rule names the file and the line that it stands on, so that a decision can be traced to it.
import type { AddressRange } from "./AddressRange.ts"
import type { NamePattern } from "./NamePattern.ts"

export type RuleEffect = "allow" | "deny"
export type Action = "publish" | "subscribe"

/** Whom a rule is about. */
export type Who =
  | { readonly _tag: "All" }
  | { readonly _tag: "User"; readonly name: string }
  | { readonly _tag: "Client"; readonly clientId: string }
  | { readonly _tag: "UserPattern"; readonly pattern: NamePattern }
  | { readonly _tag: "ClientPattern"; readonly pattern: NamePattern }
  | { readonly _tag: "Address"; readonly range: AddressRange }
  | { readonly _tag: "Listener"; readonly name: string }
  | { readonly _tag: "CertificateName"; readonly commonName: string }
  /** Came in without a user name. */
  | { readonly _tag: "Anonymous" }
  | { readonly _tag: "And"; readonly all: ReadonlyArray<Who> }
  | { readonly _tag: "Or"; readonly any: ReadonlyArray<Who> }

export interface TopicSpec {
  readonly filter: string
  /** `{eq, "…"}`: the text itself; its wildcards are characters. */
  readonly exact: boolean
  /** Where %u and %c stand for the user name and the client id: where they are a whole level, anywhere, nowhere. */
  readonly placeholders: "levels" | "anywhere" | "none"
}

export interface Rule {
  readonly effect: RuleEffect
  readonly who: Who
  readonly action: Action | "pubsub"
  /** Undefined: every topic, those that begin with "$" among them. */
  readonly topics: ReadonlyArray<TopicSpec> | undefined
  /** Bit n: QoS n. 7 is any. */
  readonly qos: number
  /** Undefined: whether or not. A SUBSCRIBE has no RETAIN, so a rule that names it is about PUBLISH alone. */
  readonly retain: boolean | undefined
  readonly line: number
}

export const anyQoS = 7

/** The rules of one file, in the order in which they are asked. */
export interface RuleFile {
  readonly file: string
  readonly rules: ReadonlyArray<Rule>
  /**
   * "first_match": when no rule matches, the next source is asked. "mosquitto": it is denied; a name with a wildcard is denied where a
   * pattern would be asked; a denied topic always denies the wider filters (Mosquitto looks at each message instead).
   */
  readonly dialect: "first_match" | "mosquitto"
}

/** A fault in a file of rules. */
export interface RuleFault {
  readonly line: number
  readonly message: string
}

export const formatRuleFault = (file: string, { line, message }: RuleFault): string => `${file}:${line}: ${message}`

export interface ParsedRules {
  readonly rules: RuleFile
  /** When there is one, `rules` are not to be used. */
  readonly faults: ReadonlyArray<RuleFault>
}

/** Who asks: one connection. */
export interface Subject {
  readonly clientId: string
  readonly userName: string | undefined
  /** As the socket gives it. */
  readonly address: string | undefined
  readonly listener: string | undefined
  /** The common name of its certificate. */
  readonly certificateName: string | undefined
  readonly superuser: boolean
  /** Of this client alone: asked before all sources. */
  readonly rules?: RuleFile | undefined
  /** The link of the authentication chain that has let it in. */
  readonly by?: string | undefined
}

/** A client of which only the client id is left. */
export const nobodyKnown = (clientId: string): Subject => ({
  clientId,
  userName: undefined,
  address: undefined,
  listener: undefined,
  certificateName: undefined,
  superuser: false
})

/** The answer and who gave it. One object a rule: asking makes none. */
export interface Decision {
  readonly allowed: boolean
  /** The file that decided; undefined: none did. */
  readonly file: string | undefined
  /** 0: the file as a whole. */
  readonly line: number
  /** "acl.config:3", "authorization.no_match" or "superuser". */
  readonly by: string
  /** Denied because whoever decides did not answer: no reason to take away what is there. */
  readonly unanswered?: true
}

/** `ifUnknown` is what a condition counts as that cannot be judged: a name too long for a regular expression. */
export const concerns = (who: Who, subject: Subject, ifUnknown: boolean): boolean => {
  switch (who._tag) {
    case "All":
      return true
    case "User":
      return subject.userName === who.name
    case "Client":
      return subject.clientId === who.clientId
    case "UserPattern":
      return subject.userName !== undefined && (who.pattern.matches(subject.userName) ?? ifUnknown)
    case "ClientPattern":
      return who.pattern.matches(subject.clientId) ?? ifUnknown
    case "Address":
      return subject.address !== undefined && who.range.contains(subject.address)
    case "Listener":
      return subject.listener === who.name
    case "CertificateName":
      return subject.certificateName === who.commonName
    case "Anonymous":
      return subject.userName === undefined
    case "And":
      return who.all.every((one) => concerns(one, subject, ifUnknown))
    case "Or":
      return who.any.some((one) => concerns(one, subject, ifUnknown))
    default:
      return who satisfies never
  }
}
