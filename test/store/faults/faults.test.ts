// A disk that is full, that fails, that cannot be written, that tears a write: what the engine says, and what is there afterwards.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { sourceProgram } from "../../support/brokerCommand.ts"
import { sqliteFolder } from "../sqliteFolder.ts"

const missing = process.platform !== "linux"
  ? "faults of a disk are injected on Linux only"
  : spawnSync("cc", ["--version"]).status === 0
  ? undefined
  : "a C compiler is missing: apt-get install gcc libc6-dev"

let built = ""
beforeAll(() => {
  if (missing !== undefined) return
  built = fs.mkdtempSync(path.join(os.tmpdir(), "emqttd-faults-"))
  const source = path.join(import.meta.dirname, "shim.c")
  const { status, stderr } = spawnSync("cc", [
    "-shared",
    "-fPIC",
    "-O1",
    "-o",
    path.join(built, "shim.so"),
    source,
    "-ldl"
  ])
  assert.strictEqual(status, 0, stderr.toString())
})
afterAll(() => {
  if (built !== "") fs.rmSync(built, { recursive: true, force: true })
})

type Answer = Readonly<Record<string, unknown>>

class Committer {
  private readonly child: ChildProcess
  private readonly control: string
  private answers: Array<Answer | null> = []
  private wake: () => void = () => {}

  constructor(file: string, fault: string) {
    this.control = path.join(path.dirname(file), "faults")
    this.fault(fault)
    const { args, command } = sourceProgram("test/store/faults/committer.ts")
    this.child = spawn(command, [...args, file], {
      env: { ...process.env, LD_PRELOAD: path.join(built, "shim.so"), EMQTTD_FAULTS: this.control },
      stdio: ["pipe", "pipe", "inherit"]
    })
    let rest = ""
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) this.answers.push(JSON.parse(line))
      this.wake()
    })
    this.child.on("close", () => {
      this.answers.push(null)
      this.wake()
    })
  }

  /** "" for a good disk. */
  fault(mode: string): void {
    fs.writeFileSync(this.control, mode)
  }

  commit(number: number): Effect.Effect<Answer | null> {
    this.child.stdin?.write(`${number}\n`)
    return this.next
  }

  /** null: it has ended. */
  readonly next = Effect.callback<Answer | null>((resume) => {
    const take = () => {
      const answer = this.answers.shift()
      if (answer !== undefined) resume(Effect.succeed(answer))
    }
    this.wake = take
    take()
  })

  /** Done when it has gone, and its lock with it. */
  readonly end = Effect.callback<void>((resume) => {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return resume(Effect.void)
    this.child.once("close", () => resume(Effect.void))
    this.child.kill("SIGKILL")
  })
}

const committer = (file: string, fault = "") =>
  Effect.acquireRelease(Effect.sync(() => new Committer(file, fault)), (made) => made.end)

/** The groups that a store opened anew has, each proved whole. */
const groupsIn = Effect.fnUntraced(function* (open: ReturnType<typeof openOf>) {
  const engine = yield* open
  const rows = yield* engine.readDeliveries(1, 0, 100_000)
  const counts = new Map<number, number>()
  for (const { sequence } of rows) {
    const group = Math.floor(sequence / 50)
    counts.set(group, (counts.get(group) ?? 0) + 1)
  }
  for (const [group, count] of counts) assert.strictEqual(count, 50, `group ${group} is whole`)
  return [...counts.keys()]
})
const openOf = (folder: Effect.Success<typeof sqliteFolder>) => folder.open()

const test = (title: string, run: Effect.Effect<void, unknown, import("effect").Scope.Scope>) =>
  it.live(title, (context) => {
    context.skip(missing !== undefined, missing)
    return Effect.scoped(run)
  })

describe("the disk", () => {
  for (const [fault, kind] of [["full", "full"], ["io", "other"], ["sync", "other"]] as const) {
    test(
      `${fault}: a group fails as ${kind} until the disk is well again, and none is lost or half there`,
      Effect.gen(function* () {
        const folder = yield* sqliteFolder
        yield* Effect.scoped(Effect.gen(function* () {
          const process = yield* committer(folder.file)
          assert.deepStrictEqual(yield* process.next, { opened: true })
          assert.deepStrictEqual(yield* process.commit(1), { committed: 1 })
          process.fault(fault)
          for (let attempt = 0; attempt < 3; attempt++) {
            const failed = yield* process.commit(2)
            assert.strictEqual(failed?.["failed"], 2)
            assert.strictEqual(failed?.["kind"], kind)
            assert.match(String(failed?.["text"]), /^store .*: (no space left on the device|input\/output error)$/)
          }
          process.fault("")
          assert.deepStrictEqual(yield* process.commit(2), { committed: 2 })
          assert.deepStrictEqual(yield* process.commit(3), { committed: 3 })
        }))
        assert.deepStrictEqual(yield* groupsIn(folder.open()), [1, 2, 3])
        assert.isEmpty(folder.log)
      })
    )
  }

  test(
    "torn: a write that stopped in its middle takes its group away and nothing else",
    Effect.gen(function* () {
      const folder = yield* sqliteFolder
      yield* Effect.scoped(Effect.gen(function* () {
        const process = yield* committer(folder.file)
        yield* process.next
        for (const number of [1, 2, 3]) assert.deepStrictEqual(yield* process.commit(number), { committed: number })
        process.fault("torn")
        assert.isNull(yield* process.commit(4))
      }))
      assert.deepStrictEqual(yield* groupsIn(folder.open()), [1, 2, 3])
      assert.isEmpty(folder.log)
    })
  )

  for (const [fault, kind] of [["readonly", "read_only"], ["full", "full"]] as const) {
    test(
      `${fault} from the start: the store is refused with one line, and whole when the disk is well`,
      Effect.gen(function* () {
        const folder = yield* sqliteFolder
        yield* Effect.scoped(Effect.gen(function* () {
          const well = yield* committer(folder.file)
          assert.deepStrictEqual(yield* well.next, { opened: true })
          assert.deepStrictEqual(yield* well.commit(1), { committed: 1 })
        }))
        const refused = yield* committer(folder.file, fault)
        const answer = yield* refused.next
        assert.strictEqual(answer?.["kind"], kind)
        assert.match(
          String(answer?.["text"]),
          /^store .*store\.sqlite: (no space left on the device|it cannot be written \(read-only\))$/
        )
        assert.deepStrictEqual(yield* groupsIn(folder.open()), [1])
      })
    )
  }

  it.live("read-only, really: a new store in a file system that is mounted so", (context) =>
    Effect.gen(function* () {
      const folder = yield* sqliteFolder
      const mount = (...args: ReadonlyArray<string>) => spawnSync("mount", [...args, folder.directory]).status === 0
      const mounted = yield* Effect.acquireRelease(
        Effect.sync(() => mount("-t", "tmpfs", "-o", "ro", "none")),
        (done) => Effect.sync(() => done && spawnSync("umount", [folder.directory]))
      )
      context.skip(!mounted, "mounting is not permitted here")
      const failure = yield* Effect.flip(folder.open())
      assert.strictEqual(failure.kind, "read_only")
      assert.strictEqual(failure.message, `store ${folder.file}: it cannot be written (read-only)`)
    }).pipe(Effect.scoped))
})
