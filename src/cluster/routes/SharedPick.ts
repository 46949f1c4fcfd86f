// Which node serves a message of a shared group that has members on several nodes. The node that a message came in at chooses the node, by the
// members that each has; that node chooses its member. Plain code, owned by ClusterRoutes. Invariant: a node with a connected member comes
// before all that have none, and nothing is chosen only where no node has a member.
import type { SharedStrategy } from "../../config/Settings.ts"
import type { Message } from "../../mqtt/Message.ts"
import type { Random } from "../../router/SharedGroup.ts"
import type { NodeMembers, RemoteGroup } from "./RemoteGroup.ts"
import { connectedOf, membersOf } from "./routeKey.ts"
import { fnv1a, mixed } from "../../router/textHash.ts"

/** This node, among the numbers of nodes. */
export const here = -1

/** What a node's number stands for. */
export interface Nodes {
  nameOf(number: number): string
  /** Its link is up: what goes there now arrives now. */
  isUp(number: number): boolean
}

export interface Choice {
  /** Not this node. */
  readonly notHere?: boolean
  /** Only where a client is there to take it. */
  readonly onlyConnected?: boolean
  readonly except?: ReadonlyArray<number>
}

interface Candidate {
  readonly node: number
  readonly weight: number
  readonly turns: { turn: number }
}

const noChoice: Choice = {}

export class SharedPick {
  private readonly strategy: SharedStrategy
  private readonly random: Random
  private readonly nodes: Nodes

  constructor(strategy: SharedStrategy, random: Random, nodes: Nodes) {
    this.strategy = strategy
    this.random = random
    this.nodes = nodes
  }

  /** `ownState`: of this node's members, as its peers know it; 0 for none. Undefined: no node has a member. */
  node(group: RemoteGroup, ownState: number, message: Message, choice: Choice = noChoice): number | undefined {
    const { except, notHere = false, onlyConnected = false } = choice
    const others = except === undefined ? group.nodes : group.nodes.filter(({ node }) => !except.includes(node))
    const up = others.filter(({ node }) => this.nodes.isUp(node))
    const connected = candidates(up, connectedIn, notHere ? 0 : connectedOf(ownState), group)
    if (connected.length > 0) return this.choose(group, connected, message)
    if (onlyConnected) return undefined
    // Nobody is there to take it: a session that waits for its client queues it, here where it can be.
    if (!notHere && membersOf(ownState) > 0) return here
    const waiting = candidates(up.length > 0 ? up : others, membersIn, 0, group)
    return waiting.length > 0 ? this.choose(group, waiting, message) : undefined
  }

  private choose(group: RemoteGroup, candidates: ReadonlyArray<Candidate>, message: Message): number {
    const [first] = candidates
    if (first !== undefined && candidates.length === 1) return first.node
    switch (this.strategy) {
      case "local":
        return candidates.some(({ node }) => node === here) ? here : nextInTurn(candidates)
      case "round_robin":
        return nextInTurn(candidates)
      case "random":
        return this.byChance(candidates)
      case "hash_clientid":
        return this.byHash(candidates, message.publisher)
      case "hash_topic":
        return this.byHash(candidates, message.topic)
      case "sticky": {
        const { favourite } = group
        if (favourite !== undefined && candidates.some(({ node }) => node === favourite)) return favourite
        return group.favourite = this.byChance(candidates)
      }
    }
  }

  private byChance(candidates: ReadonlyArray<Candidate>): number {
    let left = this.random() * candidates.reduce((sum, { weight }) => sum + weight, 0)
    for (const { node, weight } of candidates) if ((left -= weight) < 0) return node
    return candidates[candidates.length - 1]?.node ?? here
  }

  /** Rendezvous by weight: all nodes choose the same one, and a node that comes or goes moves only its own share. */
  private byHash(candidates: ReadonlyArray<Candidate>, key: string): number {
    let chosen = here
    let best = -Infinity
    let bestName = ""
    for (const { node, weight } of candidates) {
      const name = this.nodes.nameOf(node)
      const score = -weight / Math.log((hashOf(`${name}\0${key}`) + 0.5) / 0x1_0000_0000)
      if (score < best || (score === best && name > bestName)) continue
      best = score
      bestName = name
      chosen = node
    }
    return chosen
  }
}

const connectedIn = ({ connected }: NodeMembers): number => connected
const membersIn = ({ all }: NodeMembers): number => all

const candidates = (
  nodes: ReadonlyArray<NodeMembers>,
  weightOf: (members: NodeMembers) => number,
  own: number,
  group: RemoteGroup
): ReadonlyArray<Candidate> => {
  const found: Array<Candidate> = own > 0 ? [{ node: here, weight: own, turns: group.ownTurn }] : []
  for (const members of nodes) {
    const weight = weightOf(members)
    if (weight > 0) found.push({ node: members.node, weight, turns: members })
  }
  return found
}

/** Smooth weighted turns: each in proportion to its members, and never many in a row. */
const nextInTurn = (candidates: ReadonlyArray<Candidate>): number => {
  let total = 0
  let chosen: Candidate | undefined
  for (const candidate of candidates) {
    total += candidate.weight
    candidate.turns.turn += candidate.weight
    if (chosen === undefined || candidate.turns.turn > chosen.turns.turn) chosen = candidate
  }
  if (chosen === undefined) return here
  chosen.turns.turn -= total
  return chosen.node
}

/** 32 bits, every one of which depends on the whole text. */
const hashOf = (text: string): number => mixed(fnv1a(text))
