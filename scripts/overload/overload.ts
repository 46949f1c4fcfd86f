// Measures the service of connected clients under each attack, beside the service when nobody attacks, and writes the table into
// docs/overload.md. SECONDS=30 is how long each lasts. Wants an idle machine.
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { runtimeName } from "../../src/platform/runtimeName.ts"
import { type Conditions, type Measured, tlsListener, underAttack } from "./underAttack.ts"

const seconds = Number(process.env["SECONDS"] ?? 30)
const root = path.resolve(import.meta.dirname, "../..")
const document = path.join(root, "docs/overload.md")
const begin = "<!-- written by make bench-overload: begin -->"
const end = "<!-- end -->"

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-overload-ca-"))
execFileSync("sh", [path.join(root, "scripts/test-ca.sh"), folder])

const rows: ReadonlyArray<readonly [title: string, conditions: Omit<Conditions, "seconds">]> = [
  ["nobody attacks", { attack: undefined, connections: 0, settings: [] }],
  [
    "connection flood, 100 at a time, 200 places",
    { attack: "flood", connections: 100, settings: ["listeners.tcp.max_connections=200"] }
  ],
  ["1,000 silent TCP connections", { attack: "half-open", connections: 1_000, settings: [] }],
  ["1,000 CONNECTs, a byte a second", { attack: "slow-loris", connections: 1_000, settings: [] }],
  [
    "1,000 half-open TLS handshakes",
    {
      attack: "half-open-tls",
      connections: 1_000,
      settings: [],
      file: tlsListener(path.join(folder, "server.crt"), path.join(folder, "server.key"))
    }
  ]
]

const count = (number: number): string => String(number).replace(/\B(?=(\d{3})+$)/g, ",")

const row = (title: string, { attack, service }: Measured): string => {
  const refused = Object.values(attack?.refused ?? {}).reduce((sum, one) => sum + one, 0)
  const cells = [
    count(attack?.opened ?? 0),
    count(refused),
    count(service.sent),
    String(service.lost),
    String(service.unanswered + service.broken),
    service.p50.toFixed(2),
    service.p99.toFixed(2),
    service.max.toFixed(0)
  ]
  return `| ${title} | ${cells.join(" | ")} |`
}

const lines = [
  "| | connections opened | refused in CONNACK | messages | lost | unanswered or broken | p50 ms | p99 ms | max ms |",
  "|---|---:|---:|---:|---:|---:|---:|---:|---:|"
]
for (const [title, conditions] of rows) {
  const measured = row(title, await underAttack({ ...conditions, seconds }))
  console.log(measured)
  lines.push(measured)
}
fs.rmSync(folder, { recursive: true, force: true })

const text = fs.readFileSync(document, "utf8")
const [before = "", rest = ""] = text.split(begin)
const after = rest.split(end)[1]
if (after === undefined) throw new Error(`${document}: the marks of the table are missing`)
const made = [
  `${
    new Date().toISOString().slice(0, 10)
  }, ${runtimeName}, ${os.cpus().length} cores shared by broker, attacker and measured clients, ` +
  `${seconds} s each: \`SECONDS=${seconds} make bench-overload\`.`,
  "",
  ...lines
]
fs.writeFileSync(document, `${before}${begin}\n\n${made.join("\n")}\n\n${end}${after}`)
