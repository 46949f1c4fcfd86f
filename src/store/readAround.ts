// A page of deliveries of which one or more cannot be read: the rows around them are found by asking for less and less.
// Invariant: what it answers is the page as it would be without those rows, so a short one is the end; a store that cannot read its
// keys either fails as a whole, and nothing is set aside.
import { Effect } from "effect"
import { mayPass, type StoredDelivery, type StoreFailure } from "./Engine.ts"

type Page = ReadonlyArray<StoredDelivery>
type SetAside = (sequence: number, failure: StoreFailure) => void

/** One session's deliveries. */
export interface DeliveryReads {
  readonly read: (after: number, limit: number) => Effect.Effect<Page, StoreFailure>
  /** By key alone; 0: there is none. */
  readonly next: (after: number) => Effect.Effect<number, StoreFailure>
}

/** A page of 256 with one such row costs some 16 reads. */
export const readAround = (
  from: DeliveryReads,
  after: number,
  limit: number,
  setAside: SetAside
): Effect.Effect<Page, StoreFailure> =>
  Effect.catch(from.read(after, limit), (failure) => {
    if (mayPass(failure)) return Effect.fail(failure)
    if (limit > 1) return inHalves(from, after, limit, setAside)
    return Effect.flatMap(from.next(after), (sequence) => {
      if (sequence === 0) return Effect.fail(failure)
      setAside(sequence, failure)
      return readAround(from, sequence, limit, setAside)
    })
  })

const inHalves = (
  from: DeliveryReads,
  after: number,
  limit: number,
  setAside: SetAside
): Effect.Effect<Page, StoreFailure> => {
  const half = limit >> 1
  return Effect.flatMap(readAround(from, after, half, setAside), (first) => {
    const last = first[first.length - 1]
    if (last === undefined || first.length < half) return Effect.succeed(first)
    return Effect.map(readAround(from, last.sequence, limit - half, setAside), (rest) => [...first, ...rest])
  })
}
