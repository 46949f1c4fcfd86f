import { assert, describe, it } from "@effect/vitest"
import { parseRules } from "../../src/access/rules/loadRules.ts"
import { permissionsOf } from "../access/rules/asking.ts"
import { blocks } from "../access/rules/decisionTable.ts"
import { randomOf } from "../router/recorder.ts"

const alphabet = [
  ..."{}[]().,\"'%<>=#+/\\\n\r\0 ~abc$u019ä😀\ud800",
  "allow",
  "{eq,",
  "[[rules]]\n",
  '<<"',
  '"""',
  "\\x{",
  "%u"
]

/** A good file with some of it cut, doubled or replaced. */
const mutate = (text: string, random: (n: number) => number): string => {
  let mutated = text
  for (let n = 1 + random(6); n > 0; n--) {
    const at = random(mutated.length + 1)
    const end = at + random(12)
    const put = random(3) === 0
      ? ""
      : random(2) === 0
      ? mutated.slice(at, end).repeat(2)
      : alphabet[random(alphabet.length)] ?? ""
    mutated = mutated.slice(0, at) + put + mutated.slice(random(2) === 0 ? at : end)
  }
  return mutated
}

describe("files of rules that are not well", () => {
  for (const type of ["acl_config", "mosquitto", "toml"] as const) {
    it(`${type}: each is read to its end, faults name lines that are there (2,000 files)`, () => {
      const texts = blocks.filter((block) => block.type === type).map(({ rules }) => rules)
      let faulty = 0
      for (let seed = 1; seed <= 2_000; seed++) {
        const random = randomOf(seed)
        const text = mutate(texts[random(texts.length)] ?? "", random)
        const lines = text.split("\n").length
        const { faults, rules } = parseRules(type, "f", text)
        if (faults.length > 0) faulty++
        for (const { line, message } of faults) {
          if (line < 1 || line > lines || message === "" || message.length > 300) {
            assert.fail(`seed ${seed}: line ${line} of ${lines}: ${message}\n${text}`)
          }
        }
        for (const { line } of rules.rules) {
          if (line < 1 || line > lines) assert.fail(`seed ${seed}: rule in line ${line}`)
        }
        if (faults.length > 0) continue
        const permissions = permissionsOf([rules], { userName: "u" })
        permissions.publish("a/b", 0, false)
        permissions.subscribe("$share/g/+/#", 1)
      }
      assert.isAbove(faulty, 500)
    })
  }
})
