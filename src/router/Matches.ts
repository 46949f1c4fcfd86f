// The answer to "who gets a message on this topic?". Made by the RouteTable, remembered on the TopicName, read on the packet path.
// Invariant: while `table` is set it is what that table would answer now; afterwards it is empty, so that a topic nobody publishes on
// any more keeps no session in memory.
import type { Route } from "./Route.ts"
import type { SharedGroup } from "./SharedGroup.ts"

const noRoutes: ReadonlyArray<Route> = []
const noGroups: ReadonlyArray<SharedGroup> = []

export class Matches {
  readonly topic: string
  /** One for each session with a normal subscription. The array never changes: read the field once, then iterate. */
  routes: ReadonlyArray<Route>
  /** One member of each gets the message. */
  groups: ReadonlyArray<SharedGroup>
  /** Whose answer it is; undefined: no longer anybody's. */
  table: object | undefined

  constructor(topic: string, routes: ReadonlyArray<Route>, groups: ReadonlyArray<SharedGroup>, table: object) {
    this.topic = topic
    this.routes = routes
    this.groups = groups
    this.table = table
  }

  get valid(): boolean {
    return this.table !== undefined
  }

  get isEmpty(): boolean {
    return this.routes.length === 0 && this.groups.length === 0
  }

  /** For the table alone. */
  invalidate(): void {
    this.table = undefined
    this.routes = noRoutes
    this.groups = noGroups
  }
}

export { noGroups, noRoutes }
