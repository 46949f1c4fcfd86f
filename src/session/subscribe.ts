// What a SUBSCRIBE asks for, judged filter by filter: a Subscription where it is granted, a reason code where it is not.
// Plain functions; the session keeps the result and tells the router.
import type { Settings } from "../config/Settings.ts"
import type { Subscribe, SubscriptionRequest } from "../mqtt/Packet.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import { hasWildcard, levelsOf, parseSharedFilter, validateTopicFilter } from "../mqtt/Topic.ts"
import type { Subscription } from "../router/Subscriber.ts"
import type { Services } from "./Services.ts"
import type { Subscriptions } from "./Subscriptions.ts"

/** A granted subscription, or the reason code of the refusal [MQTT-3.8.4-5] [MQTT5-3.8.4-6] [MQTT5-3.8.4-7]. */
export const judgeSubscription = (
  settings: Settings,
  request: SubscriptionRequest,
  subscriptionIdentifier: number
): Subscription | number => {
  const { connection, access } = settings
  const { topicFilter } = request
  if (access.refusedSubscriptions.includes(topicFilter)) return ReasonCode.UnspecifiedError
  const parsed = parseSharedFilter(topicFilter)
  if (parsed === undefined || !validateTopicFilter(parsed.filter)) return ReasonCode.TopicFilterInvalid
  if (
    levelsOf(parsed.filter) > connection.maxTopicLevels || Buffer.byteLength(topicFilter) > connection.maxTopicLength
  ) {
    return ReasonCode.TopicFilterInvalid
  }
  if (parsed.group !== undefined && !connection.sharedAvailable) return ReasonCode.SharedSubscriptionsNotSupported
  // [MQTT-3.8.3-2]
  if (hasWildcard(parsed.filter) && !connection.wildcardAvailable) return ReasonCode.WildcardSubscriptionsNotSupported
  if (request.denied === true) return ReasonCode.NotAuthorized
  return {
    topicFilter,
    filter: parsed.filter,
    group: parsed.group,
    local: parsed.local,
    // [MQTT5-3.2.2-10] any QoS is taken, and granted as far as it is there
    qos: request.qos < connection.maximumQoS ? request.qos : connection.maximumQoS,
    noLocal: request.noLocal,
    retainAsPublished: request.retainAsPublished,
    retainHandling: request.retainHandling,
    subscriptionIdentifier
  }
}

/** What became of the filters of one SUBSCRIBE. */
export interface Judged {
  /** One for each filter, in their order. */
  readonly reasonCodes: ReadonlyArray<number>
  readonly granted: ReadonlyArray<Subscription>
  /** Of those granted, the ones whose retained messages are wanted. */
  readonly replays: ReadonlyArray<Subscription>
  /** The router could not take them: the session's record is as it was; every code is a refusal. */
  readonly takeBack: () => ReadonlyArray<number>
}

/** Records what is granted in `subscriptions`. */
export const judgeSubscribe = (
  services: Services,
  clientId: string,
  subscriptions: Subscriptions,
  packet: Subscribe
): Judged => {
  const { counters, log, settings } = services
  const granted: Array<Subscription> = []
  const before: Array<Subscription | undefined> = []
  const replays: Array<Subscription> = []
  // [MQTT-3.8.4-4] [MQTT5-3.8.4-5] one after the other; [MQTT-3.9.3-1] [MQTT5-3.9.3-1] their codes in the same order
  const reasonCodes = packet.subscriptions.map((request) => {
    const judged = judgeSubscription(settings, request, packet.subscriptionIdentifier)
    if (typeof judged === "number") {
      counters.subscriptions_refused_total++
      // What the access rules deny has its line already, with the rule.
      if (request.denied !== true) {
        const { topicFilter } = request
        log.info("subscription refused", { client_id: clientId, topic_filter: topicFilter, reason_code: judged })
      }
      return judged
    }
    const previous = subscriptions.get(judged.topicFilter)
    const existed = previous !== undefined
    if (!existed && subscriptions.size >= settings.session.maxSubscriptions) {
      counters.quota_exceeded_total++
      log.warning("subscription refused: too many", {
        client_id: clientId,
        topic_filter: judged.topicFilter,
        limit: "session.max_subscriptions"
      })
      return ReasonCode.QuotaExceeded
    }
    subscriptions.set(judged) // [MQTT-3.8.4-3] [MQTT5-3.8.4-3] the same filter again replaces it
    granted.push(judged)
    before.push(previous)
    // [MQTT-3.3.1-6] [MQTT5-3.8.4-4] [MQTT5-3.3.1-9] [MQTT5-3.3.1-10] [MQTT5-3.3.1-11] Retain Handling; a shared
    // subscription gets no retained messages
    if (judged.group === undefined && (judged.retainHandling === 0 || (judged.retainHandling === 1 && !existed))) {
      replays.push(judged)
    }
    return judged.qos
  })
  const takeBack = () => {
    // Last first: the same filter may stand in one packet twice.
    for (let i = granted.length - 1; i >= 0; i--) {
      const previous = before[i]
      if (previous === undefined) subscriptions.delete(granted[i]?.topicFilter ?? "")
      else subscriptions.set(previous)
    }
    return reasonCodes.map((code) => code < 0x80 ? ReasonCode.ImplementationSpecificError : code)
  }
  return { reasonCodes, granted, replays, takeBack }
}

export const routerIsFull = ({ counters, log }: Services, clientId: string, subscriptions: number): void => {
  counters.subscriptions_refused_total += subscriptions
  log.warning("subscriptions refused: the router's mailbox is full", {
    client_id: clientId,
    limit: "router.mailbox_capacity"
  })
}
