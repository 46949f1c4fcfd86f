// emqttd.toml(5), made of etc/emqttd.toml, which a test holds to the Schema: every setting with its default and its manual. Pure.
import type { ManualOf } from "./manCommand.ts"
import { bold, escaped, example, item, paragraph, section, subsection, title } from "./roff.ts"

/** Comment lines as paragraphs; those that are set in are an example. */
const prose = (lines: ReadonlyArray<string>): ReadonlyArray<string> => {
  const blocks: Array<string> = []
  let run: Array<string> = []
  let isExample = false
  const close = () => {
    if (run.length > 0) blocks.push(isExample ? example(run) : paragraph(run.join("\n")))
    run = []
  }
  for (const line of lines) {
    const setIn = /^ {2,}\S/.test(line)
    if (line === "" || setIn !== isExample) close()
    isExample = setIn
    if (line !== "") run.push(line.trim())
  }
  close()
  return blocks
}

/** The text under a tag: the first paragraph needs no request of its own, the others are set in. */
const body = (lines: ReadonlyArray<string>): string => {
  const [first = "", ...more] = prose(lines)
  const text = first.replace(/^\.PP\n/, "")
  return more.length === 0 ? text : [text, ".RS", ...more, ".RE"].join("\n")
}

export const manSettings = (manual: string, { date, version }: ManualOf): string => {
  const out: Array<string> = []
  let comments: Array<string> = []
  let isFirst = true
  const flush = () => {
    out.push(...prose(comments))
    comments = []
  }
  for (const line of manual.split("\n")) {
    const setting = /^#?([a-z][a-z0-9_]*) = (.*)$/.exec(line)
    const table = /^#?(\[[a-z_.<>]+\])$/.exec(line)
    if (setting !== null) {
      const [, key = "", value = ""] = setting
      out.push(item(`${bold(key)} = ${escaped(value)}`, body(comments)))
      comments = []
    } else if (table !== null) {
      if (isFirst) {
        flush()
        out.push(section("SETTINGS"))
        isFirst = false
      }
      out.push(subsection(table[1] ?? ""))
      flush()
    } else if (line === "") {
      flush()
    } else {
      comments.push(line.replace(/^# ?/, "").trimEnd())
    }
  }
  flush()
  return [
    title("emqttd.toml", 5, date, `emqttd ${version}`, "emqttd"),
    section("NAME"),
    "emqttd.toml \\- settings of the MQTT broker emqttd",
    section("DESCRIPTION"),
    ...out,
    section("SEE ALSO"),
    "emqttd(8)"
  ].join("\n") + "\n"
}
