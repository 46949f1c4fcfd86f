import { assert, describe, it } from "@effect/vitest"
import { connect, createServer } from "node:net"
import { Scheduler, type Task } from "../../src/otp/Scheduler.ts"
import { loopTurn, seeded, settle, task } from "./turns.ts"

const recorder = () => {
  const log: Array<string> = []
  return { log, logs: (text: string) => task(() => void log.push(text)) }
}

/** On a busy machine a turn can pass its 10 ms between two lines: where turns are counted, no time passes. */
const stopped = () => 1_000

describe("Scheduler", () => {
  it("runs tasks first in, first out, and never inside the caller's stack", async () => {
    const scheduler = new Scheduler(stopped)
    const { log, logs } = recorder()
    for (const text of ["a", "b", "c"]) scheduler.enqueue(logs(text))
    assert.isEmpty(log)
    await Promise.resolve()
    assert.isEmpty(log)
    await settle(scheduler)
    assert.deepStrictEqual(log, ["a", "b", "c"])
  })

  it("runs what tasks queue in the same turn, then the flushes, last queued first", async () => {
    const scheduler = new Scheduler(stopped)
    const { log, logs } = recorder()
    scheduler.enqueueFlush(logs("flush"))
    scheduler.enqueue(task(() => {
      log.push("a")
      scheduler.enqueueFlush(logs("flush of a"))
      scheduler.enqueue(task(() => {
        log.push("a1")
        scheduler.enqueue(logs("a2"))
      }))
      log.push("a ends")
    }))
    scheduler.enqueue(logs("b"))
    await settle(scheduler)
    assert.deepStrictEqual(log, ["a", "a ends", "b", "a1", "a2", "flush of a", "flush"])
    assert.strictEqual(scheduler.turns, 1)
    assert.strictEqual(scheduler.tasks, 4)
  })

  it("runs what a flush queues in the next turn", async () => {
    const scheduler = new Scheduler(stopped)
    const { log, logs } = recorder()
    scheduler.enqueueFlush(task(() => {
      log.push(`flush in turn ${scheduler.turns}`)
      scheduler.enqueue(task(() => void log.push(`task in turn ${scheduler.turns}`)))
      scheduler.enqueueFlush(task(() => void log.push(`second flush in turn ${scheduler.turns}`)))
    }))
    scheduler.enqueueFlush(logs("other flush"))
    await settle(scheduler)
    assert.deepStrictEqual(log, ["other flush", "flush in turn 1", "task in turn 2", "second flush in turn 2"])
  })

  it("enqueueNext goes before what is queued, in the order of asking", async () => {
    const scheduler = new Scheduler(stopped)
    const { log, logs } = recorder()
    scheduler.enqueue(task(() => {
      log.push("a")
      scheduler.enqueueNext(logs("next 1"))
      scheduler.enqueueNext(logs("next 2"))
    }))
    scheduler.enqueue(logs("b"))
    scheduler.enqueue(logs("c"))
    scheduler.enqueueNext(logs("next 0"))
    await settle(scheduler)
    assert.deepStrictEqual(log, ["next 0", "a", "next 1", "next 2", "b", "c"])
  })

  it("tasks that queue each other for ever let the sockets be read, and flush each turn", async () => {
    const scheduler = new Scheduler(stopped)
    let flushes = 0
    const flush = task(() => void flushes++)
    const ping: Task = task(() => scheduler.enqueue(pong))
    const pong: Task = task(() => {
      scheduler.enqueueFlush(flush)
      scheduler.enqueue(ping)
    })
    const server = createServer((socket) => socket.pipe(socket))
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const address = server.address()
    const client = connect(typeof address === "object" && address !== null ? address.port : 0, "127.0.0.1")
    await new Promise<void>((resolve) => client.on("connect", () => resolve()))
    scheduler.enqueue(ping)
    for (let round = 0; round < 20; round++) {
      client.write("x")
      await new Promise<void>((resolve) => client.once("data", () => resolve()))
    }
    assert.isAbove(flushes, 0)
    assert.isTrue(scheduler.busy)
    scheduler.close()
    client.destroy()
    server.close()
  })

  it("a turn ends after its generations, though the clock stands still", async () => {
    const scheduler = new Scheduler({ clock: () => 5, turnGenerations: 10 })
    let runs = 0
    const again: Task = task(() => {
      runs++
      scheduler.enqueue(again)
    })
    scheduler.enqueue(again)
    while (scheduler.turns < 3) await loopTurn()
    scheduler.close()
    assert.strictEqual(runs, 10 * scheduler.turns)
  })

  it("a turn ends after its time, and the rest runs first in the next", async () => {
    let now = 0
    const scheduler = new Scheduler({ clock: () => now, turnMillis: 10 })
    const { log, logs } = recorder()
    const turnsOf: Array<number> = []
    for (let index = 0; index < 100; index++) {
      scheduler.enqueue(task(() => {
        now++
        turnsOf.push(scheduler.turns)
        if (index === 0) scheduler.enqueue(logs("queued by the first"))
        if (index === 99) log.push("last of the first generation")
      }))
    }
    scheduler.enqueueFlush(task(() => void log.push(`flush after ${turnsOf.length}`)))
    await settle(scheduler)
    assert.isAbove(scheduler.turns, 4)
    assert.isAtMost(turnsOf.filter((turn) => turn === 1).length, 16)
    assert.deepStrictEqual(log, [
      `flush after ${turnsOf.filter((turn) => turn === 1).length}`,
      "last of the first generation",
      "queued by the first"
    ])
  })

  it("a turn ends after its time, though it is two tasks that wake each other", async () => {
    let now = 0
    const scheduler = new Scheduler({ clock: () => now, turnMillis: 10, turnGenerations: 1_000_000 })
    let runs = 0
    const ping: Task = task(() => {
      now++
      runs++
      scheduler.enqueue(pong)
    })
    const pong: Task = task(() => scheduler.enqueue(ping))
    scheduler.enqueue(ping)
    while (scheduler.turns < 5) await loopTurn()
    scheduler.close()
    assert.strictEqual(runs, 10 * scheduler.turns)
  })

  it("a task that throws costs the others nothing", async () => {
    const defects: Array<[unknown, Task]> = []
    const scheduler = new Scheduler({ onDefect: (defect, culprit) => void defects.push([defect, culprit]) })
    const { log, logs } = recorder()
    const bad = task(() => {
      throw "bad task"
    })
    const badFlush = task(() => {
      scheduler.enqueueFlush(logs("flush of the next turn"))
      throw "bad flush"
    })
    scheduler.enqueue(logs("a"))
    scheduler.enqueue(bad)
    scheduler.enqueue(logs("b"))
    scheduler.enqueueNext(bad)
    scheduler.enqueueFlush(badFlush)
    scheduler.enqueueFlush(logs("flush"))
    scheduler.enqueueFlush(badFlush)
    await settle(scheduler)
    assert.deepStrictEqual(log, ["a", "b", "flush", "flush of the next turn", "flush of the next turn"])
    assert.deepStrictEqual(defects, [["bad task", bad], ["bad task", bad], ["bad flush", badFlush], [
      "bad flush",
      badFlush
    ]])
  })

  it("now is read when an idle scheduler gets work, when a turn begins, and on refresh", async () => {
    let clock = 1000
    const scheduler = new Scheduler(() => clock)
    assert.strictEqual(scheduler.now, 1000)
    clock = 2000
    assert.strictEqual(scheduler.now, 1000)
    let seen = 0
    scheduler.enqueue(task(() => void (seen = scheduler.now)))
    assert.strictEqual(scheduler.now, 2000)
    clock = 3000
    await settle(scheduler)
    assert.strictEqual(seen, 3000)
    clock = 4000
    assert.strictEqual(scheduler.refresh(), 4000)
    assert.strictEqual(scheduler.now, 4000)
  })

  it("close forgets what is queued, and takes nothing any more", async () => {
    const scheduler = new Scheduler(stopped)
    const { log, logs } = recorder()
    scheduler.enqueue(logs("a"))
    scheduler.close()
    scheduler.enqueue(logs("b"))
    scheduler.enqueueFlush(logs("c"))
    scheduler.enqueueNext(logs("d"))
    await loopTurn()
    await loopTurn()
    assert.isEmpty(log)
    assert.isFalse(scheduler.busy)

    const other = new Scheduler(stopped)
    other.enqueue(task(() => {
      log.push("closes")
      other.close()
    }))
    other.enqueue(logs("behind it"))
    other.enqueueFlush(logs("flush"))
    await settle(other)
    assert.deepStrictEqual(log, ["closes"])
  })

  it("every task queued runs once, in 1,000 random programs", async () => {
    for (let seed = 0; seed < 1000; seed++) {
      const random = seeded(seed)
      const scheduler = new Scheduler({
        turnGenerations: 1 + random(4),
        clock: () => random(100),
        onDefect: (defect) => assert.strictEqual(defect, "now and then")
      })
      let queued = 0
      let ran = 0
      let budget = 60
      const queueSome = () => {
        for (let count = random(4); count > 0 && budget > 0; count--) {
          budget--
          queued++
          const once = task(() => {
            ran++
            queueSome()
            if (random(10) === 0) throw "now and then"
          })
          const how = random(4)
          if (how === 0) scheduler.enqueueFlush(once)
          else if (how === 1) scheduler.enqueueNext(once)
          else scheduler.enqueue(once)
        }
      }
      queueSome()
      await settle(scheduler)
      assert.strictEqual(ran, queued, `seed ${seed}`)
    }
  })
})
