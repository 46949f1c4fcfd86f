// One attacker as a process: attacker.ts NAME PORT CONNECTIONS SECONDS. Its last words are its report, as JSON on stdout.
import { attack, attackNames } from "./attacks.ts"

const [name, port, count, seconds] = process.argv.slice(2)
const known = attackNames.find((one) => one === name)
if (known === undefined) throw new Error(`usage: attacker.ts ${attackNames.join("|")} PORT CONNECTIONS SECONDS`)
const report = await attack(known, { port: Number(port), count: Number(count) }, Number(seconds))
process.stdout.write(JSON.stringify(report) + "\n", () => process.exit(0))
