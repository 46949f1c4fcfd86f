// How a command ends other than well: a line or a few on stderr, and an exit code of sysexits.h.
import { Data, Effect, Runtime } from "effect"

export const ExitCode = {
  /** A part of the broker crashed again and again. */
  Crash: 1,
  /** `emqttd ctl`: the node says no, or that it is not well. */
  Refused: 1,
  /** `acl test`: what was asked about is denied. */
  Denied: 1,
  /** Bad usage: a flag that is not there, a value it cannot have. */
  Usage: 2,
  /** A port in use or not permitted. */
  Unavailable: 69,
  /** A directory that cannot be written, a disk that is full. */
  InputOutput: 74,
  /** A configuration with faults. */
  Configuration: 78,
  /** A second interrupt: gone at once. */
  Interrupted: 130
} as const

/** Already told; only the code is left to give. */
export class ExitWith extends Data.TaggedError("ExitWith")<{ readonly code: number }> {
  override readonly [Runtime.errorExitCode] = this.code
  override readonly [Runtime.errorReported] = false
}

export const exitWith = (code: number, lines: ReadonlyArray<string>): Effect.Effect<never, ExitWith> =>
  Effect.suspend(() => {
    for (const line of lines) console.error(line)
    return Effect.fail(new ExitWith({ code }))
  })
