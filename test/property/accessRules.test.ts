import { assert, describe, it } from "@effect/vitest"
import { Authorization } from "../../src/access/rules/Authorization.ts"
import { Permissions } from "../../src/access/rules/Permissions.ts"
import {
  anyQoS,
  concerns,
  type Rule,
  type RuleFile,
  type Subject,
  type TopicSpec,
  type Who
} from "../../src/access/rules/Rule.ts"
import { covers, matchesName, overlaps } from "../../src/access/rules/topicRelations.ts"
import { matches } from "../../src/mqtt/Topic.ts"
import { subjectOf } from "../access/rules/asking.ts"
import { holds, randomOf } from "../router/recorder.ts"

type Random = (n: number) => number
const pick = <A>(random: Random, list: ReadonlyArray<A>): A => {
  const found = list[random(list.length)]
  if (found === undefined) throw new Error("nothing to pick from")
  return found
}

// Every name of up to four levels of these: "z" stands for all that no filter names, "$" for what is hidden.
const nameLevels = ["a", "b", "", "$", "z"]
const namesOf = (depth: number): ReadonlyArray<string> => {
  let last: ReadonlyArray<string> = nameLevels
  const all: Array<string> = [...last]
  for (let level = 1; level < depth; level++) {
    last = last.flatMap((name) => nameLevels.map((one) => `${name}/${one}`))
    all.push(...last)
  }
  return all.filter((name) => name !== "")
}
const names = namesOf(4)

const filterBy = (random: Random, levels: ReadonlyArray<string> = ["a", "b", "", "$"]): string => {
  const parts = Array.from({ length: 1 + random(3) }, () => random(3) === 0 ? "+" : pick(random, levels))
  if (random(3) === 0) parts[parts.length - 1] = "#"
  return parts.join("/") || "a"
}

describe("how filters stand to each other, against every name there is", () => {
  it("matches, covers and overlaps (3,000 pairs)", () => {
    for (let seed = 1; seed <= 3_000; seed++) {
      const random = randomOf(seed)
      const [one, other] = [filterBy(random), filterBy(random)]
      const mine = names.filter((name) => matches(one, name))
      for (let n = 0; n < 20; n++) {
        const name = pick(random, names)
        holds(matchesName(one, name) === matches(one, name), () => `${one} matches ${name}`)
      }
      const theirs = new Set(names.filter((name) => matches(other, name)))
      holds(overlaps(one, other) === mine.some((name) => theirs.has(name)), () => `${one} overlaps ${other}`)
      holds(overlaps(one, other) === overlaps(other, one), () => `${one} overlaps ${other}, both ways`)
      holds(covers(other, one) === mine.every((name) => theirs.has(name)), () => `${other} covers ${one}`)
    }
  })
})

const users = ["a", "b", "+", "#", "a/b", "$SYS", ""]
const subjectBy = (random: Random): Subject =>
  subjectOf({
    clientId: pick(random, users.slice(0, 6)),
    userName: random(3) === 0 ? undefined : pick(random, users),
    address: pick(random, ["127.0.0.1", "10.0.0.1"])
  })

const whoBy = (random: Random, depth = 0): Who => {
  switch (random(depth > 1 ? 4 : 6)) {
    case 0:
      return { _tag: "User", name: pick(random, users) }
    case 1:
      return { _tag: "Client", clientId: pick(random, users) }
    case 2:
      return { _tag: "Anonymous" }
    case 4:
      return { _tag: "And", all: [whoBy(random, depth + 1), whoBy(random, depth + 1)] }
    case 5:
      return { _tag: "Or", any: [whoBy(random, depth + 1), whoBy(random, depth + 1)] }
    default:
      return { _tag: "All" }
  }
}

const specBy = (random: Random): TopicSpec =>
  random(6) === 0
    ? { filter: filterBy(random), exact: true, placeholders: "none" }
    : { filter: filterBy(random, ["a", "b", "$", "%u", "%c"]), exact: false, placeholders: "levels" }

const ruleBy = (random: Random, line: number): Rule => ({
  effect: random(2) === 0 ? "allow" : "deny",
  who: whoBy(random),
  action: pick(random, ["publish", "subscribe", "pubsub"] as const),
  topics: random(8) === 0 ? undefined : Array.from({ length: 1 + random(3) }, () => specBy(random)),
  qos: random(4) === 0 ? 1 + random(7) : anyQoS,
  retain: random(8) === 0 ? random(2) === 0 : undefined,
  line
})

const fileBy = (random: Random, name: string, plain: boolean): RuleFile => ({
  file: name,
  dialect: "first_match",
  rules: Array.from({ length: pick(random, [1, 3, 8, 40]) }, (_, index) => {
    const rule = ruleBy(random, index + 1)
    return plain
      ? { ...rule, qos: anyQoS, retain: undefined, topics: rule.topics?.filter(({ exact }) => !exact) }
      : rule
  })
})

/** The level that a placeholder becomes; undefined: this topic is none for the client. */
const levelFor = (level: string, subject: Subject): string | undefined => {
  if (level !== "%u" && level !== "%c") return level
  const value = level === "%u" ? subject.userName : subject.clientId
  return value === undefined || /[/+#]/.test(value) ? undefined : value
}

/** As the manual says it, word by word, with nothing prepared. */
const naive = (
  files: ReadonlyArray<RuleFile>,
  subject: Subject,
  action: "publish" | "subscribe",
  topic: string,
  qos: number,
  retain: boolean
): string => {
  for (const { file, rules } of files) {
    for (const rule of rules) {
      if (rule.action !== "pubsub" && rule.action !== action) continue
      if (
        (rule.qos & (1 << qos)) === 0 || (rule.retain !== undefined && rule.retain !== retain && action === "publish")
      ) {
        continue
      }
      if (!concerns(rule.who, subject, false)) continue
      const found = rule.topics === undefined || rule.topics.some(({ exact, filter }) => {
        if (exact) return filter === topic
        const levels = filter.split("/").map((level) => levelFor(level, subject))
        if (levels.includes(undefined)) return false
        const put = levels.join("/")
        return !(rule.effect === "allow" && put.startsWith("$") && !filter.startsWith("$")) && matches(put, topic)
      })
      if (found) return `${rule.effect} ${file}:${rule.line}`
    }
  }
  return "allow none"
}

const say = ({ allowed, by, file }: { allowed: boolean; by: string; file: string | undefined }): string =>
  `${allowed ? "allow" : "deny"} ${file === undefined ? "none" : by}`

describe("decisions", () => {
  it("are those of a naive evaluation, remembered or not (1,500 sets of rules, 20 questions each)", () => {
    for (let seed = 1; seed <= 1_500; seed++) {
      const random = randomOf(seed)
      const files = [fileBy(random, "f", false), fileBy(random, "g", false)]
      const authorization = new Authorization(files, { noMatch: "allow", denyCovers: true })
      for (let client = 0; client < 2; client++) {
        const subject = subjectBy(random)
        const permissions = new Permissions({ authorization }, subject, random(4))
        for (let n = 0; n < 10; n++) {
          const [topic, qos, retain] = [pick(random, names), random(3), random(2) === 0]
          const found = say(permissions.publish(topic, qos, retain))
          const expected = naive(files, subject, "publish", topic, qos, retain)
          holds(found === expected, () => `seed ${seed}: ${topic} ${found}, not ${expected} ${JSON.stringify(subject)}`)
        }
      }
    }
  })

  it("never let a SUBSCRIBE through that could bring a message which is denied by itself (1,500 runs)", () => {
    let allowed = 0
    for (let seed = 1; seed <= 1_500; seed++) {
      const random = randomOf(seed)
      const files = [fileBy(random, "f", true)]
      const noMatch = random(2) === 0 ? "allow" : "deny"
      const subject = subjectBy(random)
      const permissions = new Permissions(
        {
          authorization: new Authorization(files, { noMatch, denyCovers: true })
        },
        subject,
        0
      )
      for (let n = 0; n < 4; n++) {
        const filter = filterBy(random)
        const asked = pick(random, ["", "$share/g/", "$queue/", "$local/", "$local/$share/g/"]) + filter
        if (!permissions.subscribe(asked, 0).allowed) continue
        allowed++
        for (const name of names) {
          if (!matches(filter, name)) continue
          const one = naive(files, subject, "subscribe", name, 0, false)
          const isAllowed = one === "allow none" ? noMatch === "allow" : one.startsWith("allow")
          holds(isAllowed, () => `seed ${seed}: ${asked} is allowed, but ${name}: ${one}`)
        }
      }
    }
    assert.isAbove(allowed, 500)
  })

  it("a filter without wildcards is judged as its name (1,000 runs)", () => {
    for (let seed = 1; seed <= 1_000; seed++) {
      const random = randomOf(seed)
      const files = [fileBy(random, "f", false)]
      const subject = subjectBy(random)
      const permissions = new Permissions(
        {
          authorization: new Authorization(files, { noMatch: "allow", denyCovers: random(2) === 0 })
        },
        subject,
        0
      )
      const [topic, qos] = [pick(random, names), random(3)]
      const found = say(permissions.subscribe(topic, qos))
      const expected = naive(files, subject, "subscribe", topic, qos, false)
      holds(found === expected, () => `seed ${seed}: ${topic} ${found}, not ${expected}`)
    }
  })
})
