// One worker of a node: a process of the same program, started again by runWorkers when it has ended. It says over its channel when it listens, and stops when the
// channel closes, also while it starts, so that none is left behind when the parent is killed. Invariant: `ended` is told once.
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
  /** A SIGHUP that came before it could take one. */
  private isOwedHangUp = false
  private isOver = false
  private readonly child: ChildProcess

  /** `worker`: its number, from 1 on; `args`: of the command line. */
  constructor(worker: number, args: ReadonlyArray<string>, events: WorkerEvents) {
    this.worker = worker
    const self = selfCommand()
    this.child = spawn(self.program, [...self.args, ...args, "--set", `node.worker=${worker}`], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      env: workerEnvironment()
    })
    const ended = (code: number | undefined, signal: string | undefined) => {
      if (this.isOver) return
      this.isOver = true
      events.ended({ code, signal })
    }
    this.child.on("message", (message) => {
      if (message !== readyMessage || this.isReady) return
      this.isReady = true
      if (this.isOwedHangUp) this.send("SIGHUP")
      events.ready()
    })
    this.child.once("exit", (code, signal) => ended(code ?? undefined, signal ?? undefined))
    this.child.once("error", () => ended(undefined, undefined))
  }

  get pid(): number | undefined {
    return this.child.pid
  }

  signal(signal: "SIGTERM" | "SIGKILL"): void {
    this.send(signal)
  }

  /** Its settings anew. One that starts is told when it listens: before, the signal could end it, and it may have read them already. */
  hangUp(): void {
    if (this.isReady) this.send("SIGHUP")
    else this.isOwedHangUp = true
  }

  /** Not by child.kill: on Deno that one closes the channel as well, which is the worker's end. */
  private send(signal: "SIGTERM" | "SIGHUP" | "SIGKILL"): void {
    const { pid } = this.child
    if (pid === undefined || this.isOver) return
    try {
      process.kill(pid, signal)
    } catch {
      // It has ended a moment ago: that is told next.
    }
  }
}

/** In a worker, from its first moment on: it stops when the parent has gone. */
export const endWithParent = (): void => {
  const end = () => process.kill(process.pid, "SIGTERM")
  process.once("disconnect", end)
  if (process.send !== undefined && !process.connected) end()
}

/** In a worker: says that it listens. */
export const tellParent = (): void => {
  process.send?.(readyMessage)
}
