// Run by Signals.test.ts as a process of its own: signals reach no worker thread.
import { onSignals } from "../../src/platform/Signals.ts"

const off = onSignals(["SIGHUP", "SIGTERM"], (signal) => {
  console.log(signal)
  if (signal === "SIGTERM") {
    off()
    console.log(process.listenerCount("SIGHUP") + process.listenerCount("SIGTERM"))
    process.exit(7)
  }
})
setInterval(() => {}, 60_000)
console.log("ready")
