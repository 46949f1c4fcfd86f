import { assert, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { runtimeName } from "../../src/platform/runtimeName.ts"

it("each signal reaches the listener, in place of the runtime's exit", async () => {
  const script = fileURLToPath(new URL("signalProcess.ts", import.meta.url))
  const child = spawn(process.execPath, runtimeName.startsWith("deno") ? ["run", "-A", script] : [script], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  // Not child.kill, which Deno lets pass once only.
  const send = (signal: string) => process.kill(child.pid ?? 0, signal)
  const lines: Array<string> = []
  const code = new Promise<number | null>((resolve) => child.on("exit", resolve))
  for await (const text of child.stdout) {
    for (const line of String(text).trim().split("\n")) {
      lines.push(line)
      if (line === "ready") send("SIGHUP")
      if (line === "SIGHUP") send("SIGTERM")
    }
  }
  assert.deepStrictEqual(lines, ["ready", "SIGHUP", "SIGTERM", "0"])
  assert.strictEqual(await code, 7)
})
