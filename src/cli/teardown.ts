// How the end of the main fiber becomes an exit code.
import { Cause, Exit, Runtime } from "effect"

/** A signal interrupts: that is an orderly end, and the library's 130 would be a failure to systemd and Docker. */
export const teardown: Runtime.Teardown = (exit, onExit) =>
  Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? onExit(0) : Runtime.defaultTeardown(exit, onExit)
