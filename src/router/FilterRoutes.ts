// Who subscribed to one filter: the normal subscribers and the shared groups. Owned by the RouteTable, which has a bare Route where a
// filter has one subscriber. Invariant: a subscriber stands in `routes` once, and the array that was handed out is never changed.
import { noGroups } from "./Matches.ts"
import type { Route, Subscriber } from "./Route.ts"
import type { SharedGroup } from "./SharedGroup.ts"

/** Up to so many subscribers are searched one by one; more get an index. */
const searched = 8

export class FilterRoutes {
  private list: Array<Route> = []
  private positions: Map<Subscriber, number> | undefined
  private handedOut = false
  private shared: Map<string, SharedGroup> | undefined
  private sharedList: ReadonlyArray<SharedGroup> | undefined

  get size(): number {
    return this.list.length
  }

  get isEmpty(): boolean {
    return this.list.length === 0 && this.shared === undefined
  }

  /** To be kept: the next change is made in a copy. */
  handOut(): ReadonlyArray<Route> {
    this.handedOut = true
    return this.list
  }

  /** To be read now. */
  get routes(): ReadonlyArray<Route> {
    return this.list
  }

  get groups(): ReadonlyArray<SharedGroup> {
    return this.sharedList ??= this.shared === undefined ? noGroups : [...this.shared.values()]
  }

  /** -1: no subscriber of this filter. */
  positionOf(subscriber: Subscriber): number {
    const positions = this.positions
    if (positions !== undefined) return positions.get(subscriber) ?? -1
    const list = this.list
    for (let position = 0; position < list.length; position++) {
      if (list[position]?.subscriber === subscriber) return position
    }
    return -1
  }

  routeAt(position: number): Route | undefined {
    return this.list[position]
  }

  /** A subscriber that is not there yet. */
  add(route: Route): void {
    const list = this.changeable()
    this.positions?.set(route.subscriber, list.length)
    list.push(route)
    if (list.length > searched) {
      this.positions ??= new Map(list.map((entry, position) => [entry.subscriber, position]))
    }
  }

  replace(position: number, route: Route): void {
    this.changeable()[position] = route
  }

  /** O(1) but for the copy: the last one takes the place that becomes free. */
  remove(position: number): void {
    const list = this.changeable()
    const gone = list[position]
    const last = list.pop()
    if (gone === undefined || last === undefined) return
    this.positions?.delete(gone.subscriber)
    if (last !== gone) {
      list[position] = last
      this.positions?.set(last.subscriber, position)
    }
    if (list.length * 2 < searched) this.positions = undefined
    gone.release()
  }

  group(name: string): SharedGroup | undefined {
    return this.shared?.get(name)
  }

  addGroup(group: SharedGroup): void {
    this.shared ??= new Map()
    this.shared.set(group.name, group)
    this.sharedList = undefined
  }

  removeGroup(group: SharedGroup): void {
    this.shared?.delete(group.name)
    if (this.shared?.size === 0) this.shared = undefined
    this.sharedList = undefined
  }

  private changeable(): Array<Route> {
    if (this.handedOut) {
      this.list = this.list.slice()
      this.handedOut = false
    }
    return this.list
  }
}
