// One worker of a node: a process of the same program, started again by runWorkers when it has ended. It says over its channel when it listens, and stops when the
// channel closes, so that none is left behind when the parent is killed. Invariant: `ended` is told once.
import { type ChildProcess, spawn } from "node:child_process"
import { workerEnvironment } from "../../config/environment.ts"
import { selfCommand } from "../../platform/selfCommand.ts"

/** What a worker says once it listens. */
export const readyMessage = "emqttd: ready"

export interface WorkerEvents {
  readonly ready: () => void
  readonly ended: (how: { readonly code: number | undefined; readonly signal: string | undefined }) => void
}

export class WorkerProcess {
  readonly worker: number
  isReady = false
  private readonly child: ChildProcess

  /** `worker`: its number, from 1 on; `args`: of the command line. */
  constructor(worker: number, args: ReadonlyArray<string>, events: WorkerEvents) {
    this.worker = worker
    const self = selfCommand()
    this.child = spawn(self.program, [...self.args, ...args, "--set", `node.worker=${worker}`], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      env: workerEnvironment()
    })
    let over = false
    const ended = (code: number | undefined, signal: string | undefined) => {
      if (over) return
      over = true
      events.ended({ code, signal })
    }
    this.child.on("message", (message) => {
      if (message !== readyMessage || this.isReady) return
      this.isReady = true
      events.ready()
    })
    this.child.once("exit", (code, signal) => ended(code ?? undefined, signal ?? undefined))
    this.child.once("error", () => ended(undefined, undefined))
  }

  get pid(): number | undefined {
    return this.child.pid
  }

  signal(signal: "SIGTERM" | "SIGHUP" | "SIGKILL"): void {
    this.child.kill(signal)
  }
}

/** In a worker: says that it listens, and stops when the parent has gone. */
export const tellParent = (): void => {
  process.send?.(readyMessage)
  process.once("disconnect", () => process.kill(process.pid, "SIGTERM"))
}
