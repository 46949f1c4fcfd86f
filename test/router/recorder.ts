// A subscriber that writes down what it gets, and makers of what the router handles.
import { assert } from "@effect/vitest"
import { Message } from "../../src/mqtt/Message.ts"
import type { QoS } from "../../src/mqtt/Packet.ts"
import { parseSharedFilter } from "../../src/mqtt/Topic.ts"
import type { Route, Subscriber } from "../../src/router/Route.ts"
import type { Subscription } from "../../src/router/Subscription.ts"

export class Recorder implements Subscriber {
  readonly clientId: string
  connected = true
  readonly got: Array<{ readonly message: Message; readonly route: Route }> = []

  constructor(clientId: string) {
    this.clientId = clientId
  }

  deliver(message: Message, route: Route): void {
    this.got.push({ message, route })
  }

  get topics(): ReadonlyArray<string> {
    return this.got.map(({ message }) => message.topic)
  }
}

export const subscription = (topicFilter: string, options: Partial<Subscription> = {}): Subscription => {
  const parsed = parseSharedFilter(topicFilter)
  return {
    topicFilter,
    filter: parsed?.filter ?? topicFilter,
    group: parsed?.group,
    local: parsed?.local ?? false,
    qos: 1,
    noLocal: false,
    retainAsPublished: false,
    retainHandling: 0,
    subscriptionIdentifier: 0,
    ...options
  }
}

export const messageOn = (
  topic: string,
  options: {
    readonly publisher?: string
    readonly payload?: string
    readonly qos?: QoS
    readonly expirySeconds?: number
    readonly now?: number
  } = {}
): Message =>
  Message.make({
    topic,
    payload: Buffer.from(options.payload ?? "x"),
    qos: options.qos ?? 1,
    retain: true,
    publisher: options.publisher ?? "publisher",
    properties: options.expirySeconds === undefined ? null : { messageExpiryInterval: options.expirySeconds },
    now: options.now ?? 0
  })

/** A seeded generator of whole numbers below n: a failing seed is in the assertion and can be run again. */
export const randomOf = (seed: number): (n: number) => number => {
  let state = Math.imul(seed, 2_654_435_761) >>> 0
  return (n) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * n)
  }
}

/** For the inner loop of a property test, where an assertion of the library and its message cost more than what is tested. */
export const holds = (fact: boolean, label: () => string): void => {
  if (!fact) assert.fail(label())
}
