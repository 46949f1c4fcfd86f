// The writer's thread dies while the broker runs: the next one takes over, and where it cannot open the store it tries again.
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { DatabaseSync } from "node:sqlite"
import type { Engine } from "../../src/store/Engine.ts"
import { changes, session } from "./rows.ts"
import { sqliteFolder } from "./sqliteFolder.ts"

/** Reaches into the engine: nothing but a defect of the runtime ends the thread. */
const endThread = (engine: Engine): Effect.Effect<void> =>
  Effect.promise(async () => {
    const { writer } = engine as unknown as { readonly writer: { thread?: { terminate(): Promise<unknown> } } }
    await writer.thread?.terminate()
    while (writer.thread !== undefined) await new Promise((resolve) => setImmediate(resolve))
  })

describe("the thread of the store", () => {
  it.live("a store that cannot be opened by the next thread is opened later", () =>
    Effect.scoped(Effect.gen(function* () {
      const folder = yield* sqliteFolder
      const engine = yield* folder.open()
      yield* engine.commit(changes({ sessions: [session(1)] }), 1)
      yield* endThread(engine)
      const lock = new DatabaseSync(`${folder.file}.lock`)
      lock.exec("PRAGMA busy_timeout = 5000; BEGIN EXCLUSIVE")
      const failure = yield* Effect.flip(engine.commit(changes({ sessions: [session(2)] }), 2))
      assert.strictEqual(failure.kind, "locked")
      lock.close()
      yield* engine.commit(changes({ sessions: [session(2)] }), 3)
      assert.strictEqual((yield* engine.stats).sessions, 2)
    })))
})
