// The real program as a child process, on the runtime that runs the tests or compiled. Waits on output and on the exit, never on
// time.
import { type ChildProcess, spawn } from "node:child_process"
import { brokerProgram, projectRoot, sourceProgram } from "../support/brokerCommand.ts"

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface SpawnOptions {
  readonly environment?: { readonly [name: string]: string }
  readonly cwd?: string
  /** Another program than the broker's door, from the project's root. */
  readonly program?: string
  /** Root's right to read and write whatever it likes is taken away. */
  readonly unprivileged?: boolean
  /** A command that runs it and gives its process to it, with its arguments. */
  readonly within?: ReadonlyArray<string>
  /** Standard input; without it there is none. */
  readonly input?: string
}

const withoutCapabilities = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]

export class EmqttdProcess {
  readonly ended: Promise<Ended>
  stdout = ""
  stderr = ""
  readonly #child: ChildProcess
  readonly #watchers = new Set<() => void>()
  #isOver = false

  constructor(
    args: ReadonlyArray<string>,
    { cwd, environment = {}, input, program, unprivileged = false, within = [] }: SpawnOptions = {}
  ) {
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith("EMQTTD_") && name !== "NO_COLOR")
    const run = program === undefined ? brokerProgram : sourceProgram(program)
    const limited = unprivileged && process.getuid?.() === 0 ? withoutCapabilities : []
    const [command = run.command, ...all] = [...within, ...limited, run.command, ...run.args, ...args]
    this.#child = spawn(command, all, {
      cwd: cwd ?? projectRoot,
      env: { ...Object.fromEntries(own), ...environment },
      stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"]
    })
    this.#child.stdin?.end(input)
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text
      this.#look()
    })
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text
      this.#look()
    })
    this.ended = new Promise((resolve) =>
      this.#child.on("close", (code) => {
        this.#isOver = true
        this.#look()
        resolve({ code, stdout: this.stdout, stderr: this.stderr })
      })
    )
  }

  /** The first match in what it has written to stderr, as soon as it is there. */
  told(pattern: RegExp): Promise<RegExpExecArray> {
    return this.until(String(pattern), (stderr) => pattern.exec(stderr))
  }

  /** As soon as there is something in what it has written to stderr. */
  until<A>(what: string, find: (stderr: string) => A | null): Promise<A> {
    return new Promise((resolve, reject) => {
      const watch = () => {
        const found = find(this.stderr)
        if (found === null && !this.#isOver) return
        this.#watchers.delete(watch)
        if (found !== null) resolve(found)
        else reject(new Error(`ended without ${what}:\n${this.stderr}${this.stdout}`))
      }
      this.#watchers.add(watch)
      watch()
    })
  }

  #look(): void {
    for (const watch of [...this.#watchers]) watch()
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Not by child.kill: on Deno that one reports the signal, whatever the exit code. */
  signal(name: NodeJS.Signals): void {
    if (this.#child.pid !== undefined && !this.#isOver) process.kill(this.#child.pid, name)
  }

  /** For finally: nothing stays behind. */
  kill(): void {
    if (!this.#isOver) this.#child.kill("SIGKILL")
  }
}

/** Runs to its end. */
export const run = (args: ReadonlyArray<string>, options?: SpawnOptions): Promise<Ended> =>
  new EmqttdProcess(args, options).ended
