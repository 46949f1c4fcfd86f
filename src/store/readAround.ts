// A page of deliveries of which one or more cannot be read: the rows around them are found by asking for less and less.
// Invariant: what it answers is the page as it would be without those rows, so a short one is the end; a store that cannot read its
// keys either fails as a whole, and nothing is set aside.
import { Effect } from "effect"
import { type DeliveryPage, hasMore, mayPass, pageOf, type StoreFailure } from "./Engine.ts"

type SetAside = (sequence: number, failure: StoreFailure) => void

/** One session's deliveries. */
export interface DeliveryReads {
  readonly read: (after: number, limit: number) => Effect.Effect<DeliveryPage, StoreFailure>
  /** By key alone; 0: there is none. */
  readonly next: (after: number) => Effect.Effect<number, StoreFailure>
}

/** A page of 256 with one such row costs some 16 reads. */
export const readAround = (
  from: DeliveryReads,
  after: number,
  limit: number,
  setAside: SetAside
): Effect.Effect<DeliveryPage, StoreFailure> =>
  Effect.catch(from.read(after, limit), (failure) => {
    if (mayPass(failure)) return Effect.fail(failure)
    if (limit > 1) return inHalves(from, after, limit, setAside)
    return Effect.catch(from.read(after, 1), (again) =>
      Effect.flatMap(from.next(after), (sequence) => {
        if (sequence === 0 || mayPass(again)) return Effect.fail(again)
        setAside(sequence, again)
        return readAround(from, sequence, limit, setAside)
      }))
  })

const inHalves = (
  from: DeliveryReads,
  after: number,
  limit: number,
  setAside: SetAside
): Effect.Effect<DeliveryPage, StoreFailure> => {
  const half = limit >> 1
  return Effect.flatMap(readAround(from, after, half, setAside), (first) => {
    const last = first[first.length - 1]
    // Its end, or as many bytes as a page may have.
    if (last === undefined || !hasMore(first, half) || first.length < half) return Effect.succeed(first)
    return Effect.map(
      readAround(from, last.sequence, limit - half, setAside),
      (rest) => pageOf([...first, ...rest], hasMore(rest, limit - half))
    )
  })
}
