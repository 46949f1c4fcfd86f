// A page in headless Chromium: it is served by the test with MQTT.js as browsers load it, runs a script and posts back what came of it.
// Where Chromium is not installed, tests skip and say so.
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { createServer, type Server } from "node:http"
import * as os from "node:os"
import * as path from "node:path"

const program = ["chromium", "chromium-browser", "google-chrome"]
  .find((name) => spawnSync(name, ["--version"]).error === undefined)

/** The reason to skip, or nothing. */
export const missing: string | undefined = program === undefined ? "chromium not found" : undefined

const bundle = path.resolve(import.meta.dirname, "../../../node_modules/mqtt/dist/mqtt.min.js")
/** A page has to answer within this time, ms: Chromium alone needs some seconds on a busy machine. */
const patience = 25_000

const pageOf = (script: string): string =>
  `<!doctype html><meta charset="utf-8"><title>test</title><script src="/mqtt.js"></script><script type="module">
const tell = (outcome) => fetch("/outcome", { method: "POST", body: JSON.stringify(outcome) })
try { await tell({ value: await (async () => { ${script} })() }) }
catch (error) { await tell({ error: String(error) }) }
</script>`

export class Browser {
  /** As pages of it name it. */
  readonly origin: string
  private readonly server: Server
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-browser-"))
  private page = ""
  private outcome: (text: string) => void = () => {}
  private child: ChildProcess | undefined

  private constructor(server: Server) {
    this.server = server
    const address = server.address()
    this.origin = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
    server.on("request", (request, response) => {
      if (request.url === "/mqtt.js") return void response.end(fs.readFileSync(bundle))
      if (request.url !== "/outcome") return void response.setHeader("Content-Type", "text/html").end(this.page)
      let text = ""
      request.on("data", (chunk: Buffer) => (text += chunk.toString()))
      request.on("end", () => {
        response.end()
        this.outcome(text)
      })
    })
  }

  static start(): Promise<Browser> {
    const server = createServer()
    return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(new Browser(server))))
  }

  /** Runs the body of an async function in a fresh page, `mqtt` is MQTT.js; what it returns comes back as JSON. */
  async run(script: string): Promise<unknown> {
    this.page = pageOf(script)
    const came = new Promise<string>((resolve) => (this.outcome = resolve))
    const child = spawn(program ?? "", [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-first-run",
      "--disable-background-networking",
      "--ignore-certificate-errors",
      `--user-data-dir=${this.folder}`,
      "--remote-debugging-port=0", // it stays until it is ended
      `${this.origin}/`
    ], { stdio: ["ignore", "ignore", "pipe"] })
    this.child = child
    let printed = ""
    child.stderr?.on("data", (chunk: Buffer) => (printed = (printed + chunk.toString()).slice(-2_000)))
    let late: ReturnType<typeof setTimeout> | undefined
    try {
      const text = await Promise.race([
        came,
        new Promise<never>((_, reject) => {
          late = setTimeout(() => reject(new Error(`no outcome within ${patience} ms; chromium: ${printed}`)), patience)
          child.once("close", (code) => reject(new Error(`chromium ended with ${code}: ${printed}`)))
        })
      ])
      const outcome: { readonly value?: unknown; readonly error?: string } = JSON.parse(text)
      if (outcome.error !== undefined) throw new Error(`in the page: ${outcome.error}`)
      return outcome.value
    } finally {
      clearTimeout(late)
      await this.quit()
    }
  }

  async stop(): Promise<void> {
    await this.quit()
    this.server.closeAllConnections()
    await new Promise<void>((resolve) => this.server.close(() => resolve()))
    fs.rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }

  private async quit(): Promise<void> {
    const { child } = this
    this.child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const closed = new Promise<void>((resolve) => child.once("close", () => resolve()))
    child.kill("SIGTERM")
    const impatient = setTimeout(() => child.kill("SIGKILL"), 3_000)
    await closed
    clearTimeout(impatient)
  }
}
