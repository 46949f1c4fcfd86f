// What arrived so far, and a way to wait for the rest: take(n) resolves with the next n items, or fails after 5 seconds and says what there was.
export class Inbox<A> {
  private readonly items: Array<A> = []
  private taken = 0
  private wake: (() => void) | undefined

  readonly put = (item: A): void => {
    this.items.push(item)
    this.wake?.()
  }

  take(count: number): Promise<ReadonlyArray<A>> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.wake = undefined
        const there = JSON.stringify(this.items.slice(this.taken))
        reject(new Error(`${this.items.length - this.taken} of ${count} arrived within 5 s: ${there.slice(0, 500)}`))
      }, 5_000)
      this.wake = () => {
        if (this.items.length - this.taken < count) return
        this.wake = undefined
        clearTimeout(late)
        const found = this.items.slice(this.taken, this.taken + count)
        this.taken += count
        resolve(found)
      }
      this.wake()
    })
  }

  async next(): Promise<A> {
    const [item] = await this.take(1)
    return item as A
  }

  /** What has arrived and was not taken. */
  get left(): ReadonlyArray<A> {
    return this.items.slice(this.taken)
  }
}
