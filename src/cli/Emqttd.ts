// The command line: which commands and flags there are, what their help says, and how bad usage ends.
// Talks to config/ for the settings and to one file a subcommand.
// Invariant: whatever goes wrong is told once, on stderr, and has its exit code.
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Option } from "effect"
import { Argument, CliConfig, CliError, CliOutput, Command, Flag, GlobalFlag, type HelpDoc } from "effect/cli"
import packageJson from "../../package.json" with { type: "json" }
import { noColour } from "../config/environment.ts"
import { type LoadedSettings, loadSettings, type SettingsInvalid } from "../config/loadSettings.ts"
import { logFormats, logLevels } from "../config/Settings.ts"
import type { Assignment } from "../config/SettingsSource.ts"
import { workerSettings } from "../config/workerSettings.ts"
import { ctlCommand } from "./ctl/command.ts"
import { ExitCode, type ExitWith, exitWith } from "./Exit.ts"
import { passwdCommand } from "./passwd/command.ts"
import { storeCommand } from "./store/command.ts"

const setting = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description), Flag.optional)

const choice = <const Choices extends ReadonlyArray<string>>(name: string, choices: Choices, description: string) =>
  Flag.Literals(name, choices).pipe(Flag.withMetavar("WORD"), Flag.withDescription(description), Flag.optional)

const base = Command.make("emqttd").pipe(
  Command.withSharedFlags({
    config: setting(
      "config",
      "FILE",
      "Settings, TOML or YAML (else $EMQTTD_CONFIG, ./emqttd.toml, /etc/emqttd/emqttd.toml)"
    ).pipe(Flag.withAlias("c")),
    port: setting("port", "N", "Port of the tcp listener (listeners.tcp.port, 1883)").pipe(Flag.withAlias("p")),
    host: setting("host", "ADDRESS", "Address of the tcp listener (listeners.tcp.address, 0.0.0.0)"),
    data: setting("data", "DIRECTORY", "Where the node keeps its state (node.data_dir, ./data)"),
    logLevel: choice("log-level", logLevels, "What is logged (log.level, info)"),
    logFormat: choice("log-format", logFormats, "How it is logged (log.format, auto)"),
    nodeName: setting("node-name", "NAME", "Name of this node (node.name, emqttd@127.0.0.1)"),
    cluster: Flag.String("cluster").pipe(
      Flag.withMetavar("HOST:PORT"),
      Flag.withDescription("A member of the cluster to join (cluster.peers); may be repeated"),
      Flag.atLeast(0)
    ),
    clusterListen: setting("cluster-listen", "HOST:PORT", "Where the other nodes reach this one (cluster.listen)"),
    workers: setting("workers", "N", "Processes behind the same ports (node.workers, 1)"),
    clusterSecretFile: setting("cluster-secret-file", "FILE", "What all nodes know (cluster.secret_file)"),
    set: Flag.String("set").pipe(
      Flag.withMetavar("KEY=VALUE"),
      Flag.withDescription("Any other setting: --set session.max_inflight=64; may be repeated"),
      Flag.atLeast(0)
    )
  })
)

type Flags = Effect.Success<typeof base>

const shortcuts: ReadonlyArray<
  readonly [name: Exclude<keyof Flags, "config" | "set" | "cluster">, flag: string, path: string]
> = [
  ["port", "--port", "listeners.tcp.port"],
  ["host", "--host", "listeners.tcp.address"],
  ["data", "--data", "node.data_dir"],
  ["logLevel", "--log-level", "log.level"],
  ["logFormat", "--log-format", "log.format"],
  ["nodeName", "--node-name", "node.name"],
  ["workers", "--workers", "node.workers"],
  ["clusterListen", "--cluster-listen", "cluster.listen"],
  ["clusterSecretFile", "--cluster-secret-file", "cluster.secret_file"]
]

/** `--set` first: a flag that has a name of its own says it more clearly. */
const assignmentsOf = Effect.fnUntraced(function* (flags: Flags): Effect.fn.Return<Array<Assignment>, ExitWith> {
  const assignments: Array<Assignment> = []
  for (const text of flags.set) {
    const [key = "", ...value] = text.split("=")
    if (value.length === 0 || key.trim() === "") {
      return yield* badUsage([`--set ${text}: expected KEY=VALUE, as in --set session.max_inflight=64`])
    }
    const path = key.trim().split(".")
    assignments.push({ path, value: value.join("=").trim(), origin: `--set ${path.join(".")}` })
  }
  if (flags.cluster.length > 0) {
    assignments.push({ path: ["cluster", "peers"], value: flags.cluster.join(","), origin: "--cluster" })
  }
  for (const [name, flag, path] of shortcuts) {
    if (Option.isSome(flags[name])) assignments.push({ path: path.split("."), value: flags[name].value, origin: flag })
  }
  return assignments
})

const tryHelp = "Try 'emqttd --help'."

const badUsage = (lines: ReadonlyArray<string>) =>
  exitWith(ExitCode.Usage, [...lines.map((line) => `emqttd: ${line}`), tryHelp])

/**
 * Faults go to stderr, one line each. When all of them come from flags, it is the usage that is bad, not the
 * configuration.
 */
const tellFaults = ({ exitCode, faults }: SettingsInvalid) =>
  faults.every((fault) => fault.startsWith("--")) ? badUsage(faults) : exitWith(exitCode, faults)

const settingsOf = Effect.fnUntraced(function* (flags: Flags) {
  return yield* loadSettings({
    file: Option.getOrUndefined(flags.config),
    flags: yield* assignmentsOf(flags)
  })
})

const settings = (flags: Flags) => Effect.catchTag(settingsOf(flags), "SettingsInvalid", tellFaults)

const check = Command.make("check", {}, () =>
  Effect.gen(function* () {
    const loaded = yield* settings(yield* base)
    const { check } = yield* Effect.promise(() => import("./check.ts"))
    yield* check(loaded)
  })).pipe(
    Command.withDescription("Say whether the settings are good: exit 0, or every fault with its line and exit 78"),
    Command.withExamples([{ command: "emqttd check --config /etc/emqttd/emqttd.toml" }])
  )

const dump = Command.make("dump", {
  json: Flag.Boolean("json").pipe(Flag.withDescription("JSON instead of TOML"), Flag.withDefault(false))
}, ({ json }) =>
  Effect.gen(function* () {
    const loaded = yield* settings(yield* base)
    const { configDump } = yield* Effect.promise(() => import("./configDump.ts"))
    yield* configDump(loaded, json)
  })).pipe(
    Command.withDescription("Print every setting as it would be in force: defaults, file, environment and flags"),
    Command.withExamples([
      { command: "emqttd config dump --config my.toml", description: "The effective settings as TOML" },
      { command: "emqttd config dump --json", description: "The same for a program" }
    ])
  )

const config = Command.make("config").pipe(
  Command.withDescription("Look at the settings"),
  Command.withSubcommands([dump])
)

const ctl = ctlCommand(Effect.flatMap(base, settings))
const store = storeCommand(Effect.flatMap(base, settings))

const aclTest = Command.make("test", {
  client: setting("client", "ID", "Client id (none)"),
  user: setting("user", "NAME", "User name (none: an anonymous client)"),
  address: setting("address", "IP", "Where it comes from (127.0.0.1)"),
  listener: setting("listener", "NAME", "The listener it came in by (tcp)"),
  certificateName: setting("certificate-cn", "NAME", "Common name of its certificate (none)"),
  qos: Flag.Literals("qos", ["0", "1", "2"]).pipe(
    Flag.withMetavar("N"),
    Flag.withDescription("QoS of the PUBLISH, or asked for by the SUBSCRIBE (0)"),
    Flag.withDefault("0" as const)
  ),
  retain: Flag.Boolean("retain").pipe(Flag.withDescription("The PUBLISH has RETAIN"), Flag.withDefault(false)),
  action: Argument.Literals("action", ["publish", "subscribe"]).pipe(Argument.withDescription("What it wants to do")),
  topic: Argument.String("topic").pipe(Argument.withDescription("A topic name; for subscribe a topic filter"))
}, (question) =>
  Effect.gen(function* () {
    const loaded = yield* settings(yield* base)
    const { aclTest } = yield* Effect.promise(() => import("./aclTest.ts"))
    return yield* aclTest(loaded, {
      ...question,
      client: Option.getOrElse(question.client, () => ""),
      user: Option.getOrUndefined(question.user),
      address: Option.getOrElse(question.address, () => "127.0.0.1"),
      listener: Option.getOrElse(question.listener, () => "tcp"),
      certificateName: Option.getOrUndefined(question.certificateName),
      qos: Number(question.qos)
    }).pipe(Effect.catchTag("QuestionInvalid", ({ fault }) => badUsage([fault])))
  })).pipe(
    Command.withDescription("Say which rule decides, by file and line: exit 0 when it allows, 1 when it denies"),
    Command.withExamples([
      { command: "emqttd acl test --config my.toml --user bob --address 10.0.0.7 subscribe 'plant/#'" },
      { command: "emqttd acl test --client sensor-1 --qos 1 --retain publish plant/boiler" }
    ])
  )

const acl = Command.make("acl").pipe(
  Command.withDescription("Look at the access rules"),
  Command.withSubcommands([aclTest])
)

const ofWorker = (loaded: LoadedSettings): LoadedSettings => ({ ...loaded, settings: workerSettings(loaded.settings) })

/** The command with its subcommands; the manual page is made of it too. */
export const emqttd = base.pipe(
  Command.withHandler((flags) =>
    Effect.gen(function* () {
      const loaded = yield* settings(flags)
      const { worker, workers } = loaded.settings.node
      if (workers > 1 && worker === 0) {
        const { runWorkers } = yield* Effect.promise(() => import("./workers/runWorkers.ts"))
        return yield* runWorkers(loaded, process.argv.slice(2))
      }
      const { start } = yield* Effect.promise(() => import("./start.ts"))
      const { Broker } = yield* Effect.promise(() => import("../app/Broker.ts"))
      // The flags were good a moment ago.
      const again = Effect.map(Effect.catchTag(settingsOf(flags), "ExitWith", Effect.die), ofWorker)
      return yield* start(Broker.start, ofWorker(loaded), again, packageJson.version)
    })
  ),
  Command.withDescription("An MQTT broker: 3.1, 3.1.1 and 5. Without a subcommand it starts."),
  Command.withExamples([
    { command: "emqttd", description: "Start with the defaults: MQTT on port 1883, data in ./data" },
    { command: "emqttd --config /etc/emqttd/emqttd.toml", description: "Start with a configuration file" },
    { command: "emqttd --port 1884 --data /tmp/emqttd --log-level debug", description: "Change a few settings" },
    { command: "emqttd --cluster 10.0.0.1 --cluster-secret-file /etc/emqttd/secret", description: "Join a cluster" },
    { command: "EMQTTD_ACCESS__ANONYMOUS=anywhere emqttd", description: "Change one by the environment" },
    { command: "emqttd check --config my.toml", description: "Only say whether a file is good" },
    { command: "emqttd config dump", description: "Print all settings" },
    { command: "emqttd ctl status", description: "Ask the node that runs here how it is" }
  ]),
  Command.withSubcommands([check, config, acl, ctl, store, passwdCommand])
)

/** The library's help, but for two slips: a subcommand is not needed everywhere, and a blank line is missing. */
const helpText = (doc: HelpDoc.HelpDoc): string => {
  const usage = doc.commandPath?.length === 1 ? doc.usage.replace("<subcommand>", "[subcommand]") : doc.usage
  return CliOutput.defaultFormatter({ colors: process.stdout.isTTY && !noColour() })
    .formatHelpDoc({ ...doc, usage })
    .replace(/([^\n])\n((?:\u001b\[\d+m)*EXAMPLES)/, "$1\n\n$2")
}

/** The library's messages put a suggestion on lines of its own. */
const oneLine = (message: string): string =>
  message.replace(
    /\s*Did you mean this\?\s*(\S+(?:\s+\S+)*)\s*$/,
    (_, meant: string) => `; did you mean ${meant.split(/\s+/).join(" or ")}?`
  )

/** Help for those who ask; for bad usage a line or two instead of a page. */
const presenter: CliOutput.Presenter = {
  present: (event) => {
    switch (event._tag) {
      case "Help":
        return event.reason === "Requested" ? Console.log(helpText(event.helpDoc)) : Console.error(
          `${helpText(event.helpDoc)}\n\n${event.commandPath.join(" ").replace(" ", ": ")}: a subcommand is missing`
        )
      case "Version":
        return Console.log(`${event.name} ${event.version}`)
      case "InvalidInvocation":
        return Effect.forEach(
          [
            ...event.errors.map(({ message }) => `emqttd: ${oneLine(message)}`),
            `Try '${event.commandPath.join(" ")} --help'.`
          ],
          (line) => Console.error(line),
          { discard: true }
        )
    }
  }
}

/** What every command understands besides its own. */
export const cliConfig = CliConfig.make({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] })

/** The whole program; its exit code stands in its error. */
export const main: Effect.Effect<void, ExitWith> = emqttd.pipe(
  Command.run({ version: packageJson.version }),
  Effect.catchIf(
    CliError.isCliError,
    (error) => error._tag !== "ShowHelp" ? badUsage([error.message]) : exitWith(ExitCode.Usage, [])
  ),
  Effect.provide(NodeServices.layer),
  Effect.provideService(CliOutput.Presenter, presenter),
  Effect.provideService(CliConfig.CliConfig, cliConfig)
)
