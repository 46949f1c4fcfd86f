// A process with a store of its own: opens the file that it is given, and for each number that it reads commits a group of that number.
// Answers one line of JSON each: what came of it.
import { Effect } from "effect"
import * as readline from "node:readline"
import { openSqlite } from "../../../src/store/sqlite/SqliteEngine.ts"
import { changes, delivery, message, session } from "../rows.ts"

const answer = (value: unknown) => Effect.sync(() => console.log(JSON.stringify(value)))

const lines: Array<string> = []
let wake = () => {}
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  lines.push(line)
  wake()
})
const next = Effect.callback<string>((resume) => {
  const take = () => {
    const line = lines.shift()
    if (line !== undefined) resume(Effect.succeed(line))
    return line !== undefined
  }
  if (!take()) wake = take
})

const deliveriesOfGroup = 50

await Effect.runPromise(
  Effect.gen(function* () {
    const engine = yield* openSqlite({
      file: process.argv[2] ?? "",
      durability: "fsync",
      log: (level, text) => console.log(JSON.stringify({ level, text }))
    })
    yield* answer({ opened: true })
    while (true) {
      const number = Number(yield* next)
      const numbers = Array.from({ length: deliveriesOfGroup }, (_, index) => number * deliveriesOfGroup + index)
      const group = changes({
        sessions: [session(1)],
        messages: numbers.map((one) => message(one)),
        deliveries: numbers.map((one) => delivery(1, one, one))
      })
      yield* Effect.matchEffect(engine.commit(group, number), {
        onSuccess: () => answer({ committed: number }),
        onFailure: ({ kind, message: text }) => answer({ failed: number, kind, text })
      })
    }
  }).pipe(
    Effect.scoped,
    Effect.catch(({ kind, message: text }) => answer({ kind, text }))
  )
)
process.exit(0)
