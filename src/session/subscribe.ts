// What a SUBSCRIBE asks for, judged filter by filter: a Subscription where it is granted, a reason code where it is not.
// Plain functions; the session keeps the result and tells the router.
import type { Settings } from "../config/Settings.ts"
import type { SubscriptionRequest } from "../mqtt/Packet.ts"
import { ReasonCode } from "../mqtt/ReasonCode.ts"
import { hasWildcard, levelsOf, parseSharedFilter, validateTopicFilter } from "../mqtt/Topic.ts"
import type { Subscription } from "../router/Subscriber.ts"

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
