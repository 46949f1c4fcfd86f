// emqttd(8), made of the help of the command line. Pure.
import { Option } from "effect"
import type { HelpDoc } from "effect/cli"
import { bold, escaped, example, item, paragraph, section, subsection, title } from "./roff.ts"

const exitCodes: ReadonlyArray<readonly [code: number, when: string]> = [
  [0, "An orderly end, by SIGTERM or SIGINT too."],
  [1, "A part of the broker crashed again and again; or a subcommand's answer is no."],
  [2, "Bad usage."],
  [69, "An address cannot be listened on; or, for ctl, no node answers."],
  [74, "The data directory cannot be made or written."],
  [78, "The configuration has faults: each is told with its line."],
  [130, "A second SIGINT: gone at once."]
]

const signals: ReadonlyArray<readonly [name: string, what: string]> = [
  ["SIGTERM, SIGINT", "Tell the clients, write what is owed, end within node.shutdown_timeout."],
  ["SIGHUP", "Read the settings, the access rules and the certificates again."]
]

const flag = ({ aliases, description, name, type }: HelpDoc.FlagDoc): string => {
  const names = [`--${name}`, ...aliases].map(bold).join(", ")
  const value = type === "boolean" ? "" : ` \\fI${escaped(type)}\\fR`
  return item(names + value, escaped(Option.getOrElse(description, () => "")))
}

const parts = (doc: HelpDoc.HelpDoc): ReadonlyArray<string> => [
  ...(doc.args ?? []).map(({ description, name }) =>
    item(bold(`<${name}>`), escaped(Option.getOrElse(description, () => "")))
  ),
  ...doc.flags.map(flag)
]

const examples = (docs: ReadonlyArray<HelpDoc.HelpDoc>): ReadonlyArray<string> =>
  docs.flatMap((doc) => doc.examples ?? []).flatMap(({ command, description }) => [
    ...(description === undefined ? [] : [paragraph(`${description}:`)]),
    example([command])
  ])

export interface ManualOf {
  readonly version: string
  /** YYYY-MM-DD. */
  readonly date: string
}

/** `docs` as helpDocs gives them: the root first. */
export const manCommand = (docs: ReadonlyArray<HelpDoc.HelpDoc>, { date, version }: ManualOf): string => {
  const [root, ...commands] = docs
  if (root === undefined) return ""
  const runnable = commands.filter(({ subcommands }) => (subcommands ?? []).length === 0)
  return [
    title("emqttd", 8, date, `emqttd ${version}`, "emqttd"),
    section("NAME"),
    "emqttd \\- MQTT broker",
    section("SYNOPSIS"),
    bold("emqttd") + " [flags]",
    ...runnable.map(({ usage }) => `.br\n${bold(usage.split(" ").slice(0, 1).join(" "))} ${escaped(usage.slice(7))}`),
    section("DESCRIPTION"),
    escaped(root.description),
    paragraph("Settings: defaults, then one file, then the environment, then flags. See emqttd.toml(5)."),
    section("FLAGS"),
    ...root.flags.map(flag),
    ...(root.globalFlags ?? []).map(flag),
    section("SUBCOMMANDS"),
    // Of those that only hold others, the ones with flags that the others take too.
    ...commands.filter((doc) => runnable.includes(doc) || doc.flags.length > 0).flatMap((doc) => [
      subsection(doc.usage),
      escaped(doc.description),
      ...parts(doc)
    ]),
    section("SIGNALS"),
    ...signals.map(([name, what]) => item(bold(name), escaped(what))),
    section("EXIT STATUS"),
    ...exitCodes.map(([code, when]) => item(bold(String(code)), escaped(when))),
    section("ENVIRONMENT"),
    item(bold("EMQTTD_CONFIG"), escaped("The file of settings, where --config names none.")),
    item(
      bold("EMQTTD_<TABLE>__<KEY>"),
      escaped("A setting: EMQTTD_LISTENERS__TCP__PORT=1884 is listeners.tcp.port.")
    ),
    item(bold("NO_COLOR"), escaped("Anything but nothing: no colours.")),
    item(bold("NOTIFY_SOCKET, WATCHDOG_USEC"), escaped("Set by systemd, which is told of start, stop and life.")),
    section("FILES"),
    item(bold("./emqttd.toml, /etc/emqttd/emqttd.toml"), escaped("Settings, where nothing else is named.")),
    item(bold("./data, /var/lib/emqttd"), escaped("What the node keeps: by default, and as packages set it.")),
    section("EXAMPLES"),
    ...examples(docs),
    section("SEE ALSO"),
    "emqttd.toml(5), mosquitto_pub(1), mosquitto_sub(1)"
  ].join("\n") + "\n"
}
