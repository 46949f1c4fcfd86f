// A shared group's members on other nodes: for each node how many. Plain state of the RemoteTable; SharedPick chooses with it.
// Invariant: a node that has no member stands in no group.
import type { SharedGroup } from "../../router/SharedGroup.ts"
import { connectedOf, membersOf } from "./routeKey.ts"

export interface NodeMembers {
  readonly node: number
  /** With a client that is there; above 16 a rough count. */
  connected: number
  all: number
  state: number
  marked: boolean
  /** SharedPick's: how far its turn has come. */
  turn: number
}

export class RemoteGroup {
  readonly key: string
  readonly name: string
  readonly filter: string
  readonly nodes: Array<NodeMembers> = []
  /** The members of this node; undefined: there are none. */
  local: SharedGroup | undefined = undefined
  /** SharedPick's, of this node's members. */
  readonly ownTurn = { turn: 0 }
  /** SharedPick's; -1: this node. */
  favourite: number | undefined = undefined

  constructor(key: string, name: string, filter: string) {
    this.key = key
    this.name = name
    this.filter = filter
  }

  get isEmpty(): boolean {
    return this.nodes.length === 0
  }

  has(node: number): boolean {
    return this.nodes.some((one) => one.node === node)
  }

  isMarked(node: number): boolean {
    return this.nodes.some((one) => one.node === node && one.marked)
  }

  unmark(node: number): void {
    for (const one of this.nodes) if (one.node === node) one.marked = false
  }

  /** Returns the state from before. */
  set(node: number, state: number, marked: boolean): number {
    const position = this.nodes.findIndex((one) => one.node === node)
    const known = this.nodes[position]
    const before = known?.state ?? 0
    if (state === 0) {
      if (known !== undefined) this.nodes.splice(position, 1)
      if (this.favourite === node) this.favourite = undefined
    } else if (known !== undefined) {
      known.connected = connectedOf(state)
      known.all = membersOf(state)
      known.state = state
      known.marked = marked
    } else {
      this.nodes.push({ node, connected: connectedOf(state), all: membersOf(state), state, marked, turn: 0 })
    }
    return before
  }
}
