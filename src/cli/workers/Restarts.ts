// When a worker that has ended is started again, and when that has become pointless. Pure; runWorkers asks it. Invariant: one worker that cannot be kept
// alive is tried for ever, with pauses, since the others serve; a node of which no worker can be kept alive ends.

const firstPauseMillis = 500
const longestPauseMillis = 30_000
/** One that has run for so long begins with the shortest pause again. */
const soundAfterMillis = 60_000
/** All of them, so often in a row: about a minute of attempts. */
const mostInARow = 8

interface Course {
  /** Ends in a row, none after a sound run. */
  times: number
  /** Undefined: it does not run. */
  runsSince: number | undefined
}

export class Restarts {
  private readonly courses = new Map<number, Course>()

  started(worker: number, now: number): void {
    const { times = 0 } = this.courses.get(worker) ?? {}
    this.courses.set(worker, { times, runsSince: now })
  }

  /** How often in a row it has ended by now, and how long it is waited before the next start. */
  ended(worker: number, now: number): { readonly times: number; readonly pauseMillis: number } {
    const course = this.courses.get(worker) ?? { times: 0, runsSince: undefined }
    const times = isSound(course, now) ? 1 : course.times + 1
    this.courses.set(worker, { times, runsSince: undefined })
    return { times, pauseMillis: Math.min(firstPauseMillis * 2 ** Math.min(times - 1, 30), longestPauseMillis) }
  }

  isPointless(now: number): boolean {
    const all = [...this.courses.values()]
    return all.length > 0 && all.every((course) => course.times >= mostInARow && !isSound(course, now))
  }
}

const isSound = ({ runsSince }: Course, now: number): boolean =>
  runsSince !== undefined && now - runsSince > soundAfterMillis
