// Membership of many nodes over the network in memory: how long news takes, what it costs, and that no blip and no loss buries a living
// member. The figures of docs/cluster.md come from here: `SIMULATION=1000 make test ARGS=test/cluster/simulation.test.ts`.
import { assert, describe, it } from "@effect/vitest"
import { MemberSwarm, nameOf } from "./MemberSwarm.ts"

const sizes = [100, ...(process.env["SIMULATION"] === undefined ? [] : [Number(process.env["SIMULATION"])])]

const eventsOf = (swarm: MemberSwarm, ending: string): number => {
  let count = 0
  for (const { events } of swarm.members.values()) count += events.filter((event) => event.endsWith(ending)).length
  return count
}

const forgetEvents = (swarm: MemberSwarm): void => {
  for (const { events } of swarm.members.values()) events.length = 0
}

const told: Array<string> = []
const tell = (members: number, line: string): void => {
  told.push(`${members} members: ${line}`)
}

/** Frames and bytes that a member sends in a second. */
const costOf = (swarm: MemberSwarm, seconds: number): string => {
  const [frames, bytes] = [swarm.frames, swarm.bytes]
  swarm.advance(seconds * 1_000)
  const each = swarm.members.size * seconds
  return `${((swarm.frames - frames) / each).toFixed(1)} frames, ${
    Math.round((swarm.bytes - bytes) / each)
  } bytes a second`
}

describe.each(sizes)("%i members", { timeout: 900_000 }, (members) => {
  const patience = 5_000 * Math.max(1, Math.log10(members))
  const swarm = new MemberSwarm({ members, seed: 11 })

  it("all join by naming one", () => {
    swarm.seedAll()
    const took = swarm.until(() => swarm.converged && swarm.isMesh, 120_000)
    assert.isDefined(took, "all found each other")
    const each = `each with ${Math.round(swarm.frames / members)} frames, ${
      Math.round(swarm.bytes / members / 1024)
    } KiB`
    tell(members, `all have joined after ${took} ms, ${each}`)
    swarm.advance(60_000)
  })

  it("in peace nobody is suspected", () => {
    forgetEvents(swarm)
    tell(members, `in peace ${costOf(swarm, 30)}`)
    assert.strictEqual(eventsOf(swarm, "suspect"), 0)
  })

  it("a blip of 500 ms buries nobody; two halves that have buried each other heal", () => {
    const names = [...swarm.members.keys()]
    const [one, other] = [names.slice(0, members / 2), names.slice(members / 2)]
    swarm.split(one, other)
    swarm.advance(500)
    swarm.heal()
    swarm.advance(20_000)
    assert.strictEqual(eventsOf(swarm, "dead"), 0)
    assert.isTrue(swarm.converged)
    swarm.split(one, other)
    const apart = swarm.until(
      () => [...swarm.members.values()].every(({ membership }) => membership.present.length === members / 2),
      120_000
    )
    assert.isDefined(apart)
    swarm.heal()
    const counted = swarm.until(
      () => [...swarm.members.values()].every(({ membership }) => membership.present.length === members),
      60_000
    )
    assert.isDefined(counted)
    const equal = swarm.until(() => swarm.converged, 60_000)
    assert.isDefined(equal)
    const healed = `everyone counts with everyone after ${counted} ms, all tables are equal ${equal} ms later`
    tell(members, `two halves: each has buried the other after ${apart} ms; healed, ${healed}`)
    swarm.advance(30_000)
  })

  it("a death is heard of", () => {
    forgetEvents(swarm)
    swarm.kill(nameOf(1))
    const suspected = swarm.until(() => swarm.agree(nameOf(1), "suspect"), 30_000)
    const dead = swarm.until(() => swarm.agree(nameOf(1), "dead"), 60_000)
    assert.isDefined(suspected)
    assert.isDefined(dead)
    assert.isAtMost(suspected + dead, patience + 6_000)
    tell(
      members,
      `a member is killed: suspected by all after ${suspected} ms, dead for all after ${suspected + dead} ms`
    )
    assert.strictEqual(eventsOf(swarm, "dead"), members - 1)
  })

  it("30 % of all frames are lost: nobody alive is buried, and a death is found", () => {
    forgetEvents(swarm)
    swarm.network.loss = 0.3
    const cost = costOf(swarm, 60)
    assert.strictEqual(eventsOf(swarm, "dead"), 0)
    const wrongly = (eventsOf(swarm, "suspect") / members / members).toFixed(2)
    tell(members, `with 30 % loss ${cost}; a member is suspected wrongly ${wrongly} times a minute, and never buried`)
    swarm.kill(nameOf(2))
    const dead = swarm.until(() => swarm.agree(nameOf(2), "dead"), 60_000)
    assert.isDefined(dead)
    tell(members, `with 30 % loss a death is known to all after ${dead} ms`)
  })

  it("figures", () => {
    process.stdout.write(`${told.filter((line) => line.startsWith(`${members} `)).join("\n")}\n`)
  })
})
