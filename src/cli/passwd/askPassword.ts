// A password from a person, twice and without echo, or from a program: the first line of standard input. Invariant: the terminal is as it was
// when this returns, however it returns.
import { Data, Effect } from "effect"

export class PasswordNotGiven extends Data.TaggedError("PasswordNotGiven")<{ readonly message: string }> {}

const longest = 65_535

/** Up to the end of the line; for a terminal in raw mode also what the keys say. */
const readLine = (prompt: string, isTerminal: boolean): Effect.Effect<string, PasswordNotGiven> =>
  Effect.callback<string, PasswordNotGiven>((resume) => {
    const { stdin } = process
    const decoder = new TextDecoder()
    let line = ""
    if (isTerminal) {
      process.stderr.write(prompt)
      stdin.setRawMode(true)
    }
    const leave = (answer: Effect.Effect<string, PasswordNotGiven>) => {
      stdin.off("data", onData)
      stdin.off("end", onEnd)
      stdin.pause()
      if (isTerminal) {
        stdin.setRawMode(false)
        process.stderr.write("\n")
      }
      resume(answer)
    }
    const notGiven = (message: string) => leave(Effect.fail(new PasswordNotGiven({ message })))
    const onEnd = () => line === "" ? notGiven("no password given") : leave(Effect.succeed(line))
    const onData = (chunk: Uint8Array) => {
      for (const character of decoder.decode(chunk, { stream: true })) {
        if (character === "\n" || character === "\r") return leave(Effect.succeed(line))
        if (isTerminal && character === "\u0003") return notGiven("interrupted")
        if (isTerminal && character === "\u0004") return onEnd()
        if (isTerminal && (character === "\u007f" || character === "\b")) line = Array.from(line).slice(0, -1).join("")
        else if (isTerminal && character === "\u0015") line = ""
        else line += character
        if (line.length > longest) return notGiven("a password has at most 65,535 bytes")
      }
    }
    stdin.on("data", onData)
    stdin.on("end", onEnd)
    stdin.resume()
  })

export const askPassword = Effect.fnUntraced(function* (user: string) {
  if (process.stdin.isTTY !== true) return yield* readLine("", false)
  const first = yield* readLine(`Password for ${user}: `, true)
  const second = yield* readLine("Once more: ", true)
  if (first !== second) return yield* new PasswordNotGiven({ message: "the two are not the same" })
  return first
})
