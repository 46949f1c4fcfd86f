// A mount point: what is put before every topic that a client names, and taken away from those it is sent, so that clients of
// different mount points never meet. Plain functions; "" is none, and who has none pays one comparison. Invariant: within the broker
// every topic is whole; it is cut only on the way to the client.
import type { Settings } from "../config/Settings.ts"
import { Message } from "../mqtt/Message.ts"
import type { Connect, Subscribe, Unsubscribe } from "../mqtt/Packet.ts"
import { parseSharedFilter, validateTopicFilter } from "../mqtt/Topic.ts"
import type { TopicTable } from "../mqtt/TopicTable.ts"

/**
 * The mount point of one client; undefined: its name cannot stand in a topic as one level, and then it could be taken for somebody
 * else's.
 */
export const mountpointFor = (template: string, clientId: string, userName: string | undefined): string | undefined => {
  if (!/%[cu]/.test(template)) return template
  for (const [sign, name] of [["%c", clientId], ["%u", userName ?? ""]] as const) {
    if (template.includes(sign) && (name === "" || /[/+#\0]/.test(name))) return undefined
    // It must not open what wildcards hide, `$SYS` above all.
    if (template.startsWith(sign) && name.startsWith("$")) return undefined
  }
  return template.replace(/%[cu]/g, (sign) => sign === "%c" ? clientId : userName ?? "")
}

/** Prefixes of shared and local subscriptions stay in front; what is no filter, or is refused by name, stays as it is, to be refused. */
export const mountedFilter = (settings: Settings, mountpoint: string, topicFilter: string): string => {
  const parsed = parseSharedFilter(topicFilter)
  if (parsed === undefined || !validateTopicFilter(parsed.filter)) return topicFilter
  if (settings.access.refusedSubscriptions.includes(topicFilter)) return topicFilter
  return topicFilter.slice(0, topicFilter.length - parsed.filter.length) + mountpoint + parsed.filter
}

/** As its client would write it; undefined: it lies outside of the mount point. */
export const unmountedFilter = (mountpoint: string, topicFilter: string): string | undefined => {
  if (mountpoint === "") return topicFilter
  const filter = parseSharedFilter(topicFilter)?.filter ?? topicFilter
  if (!filter.startsWith(mountpoint)) return undefined
  return topicFilter.slice(0, topicFilter.length - filter.length) + filter.slice(mountpoint.length)
}

/** Of a topic that was mounted. */
export const unmountedTopic = (mountpoint: string, topic: string): string =>
  mountpoint === "" ? topic : topic.slice(mountpoint.length)

export const mountSubscribe = (settings: Settings, mountpoint: string, packet: Subscribe): Subscribe =>
  mountpoint === "" ? packet : {
    ...packet,
    subscriptions: packet.subscriptions.map((one) => ({
      ...one,
      topicFilter: mountedFilter(settings, mountpoint, one.topicFilter)
    }))
  }

export const mountUnsubscribe = (settings: Settings, mountpoint: string, packet: Unsubscribe): Unsubscribe =>
  mountpoint === "" ? packet : {
    ...packet,
    topicFilters: packet.topicFilters.map((topicFilter) => mountedFilter(settings, mountpoint, topicFilter))
  }

export const mountedConnect = (mountpoint: string, connect: Connect): Connect =>
  mountpoint === "" || connect.will === undefined
    ? connect
    : { ...connect, will: { ...connect.will, topic: mountpoint + connect.will.topic } }

const renamed = (message: Message, topic: string, topics: TopicTable): Message =>
  Message.make({
    topic: topics.of(topic),
    payload: message.payload,
    qos: message.qos,
    retain: message.retain,
    publisher: message.publisher,
    properties: message.properties,
    now: message.receivedAt
  })

/** Throws ProtocolError when the whole topic is too long. */
export const mountedMessage = (mountpoint: string, message: Message, topics: TopicTable): Message =>
  renamed(message, mountpoint + message.topic, topics)

/** For the client. A message from elsewhere, that a session got under another mount point, stays as it is. */
export const unmountedMessage = (mountpoint: string, message: Message, topics: TopicTable): Message =>
  message.topic.startsWith(mountpoint) && message.topic.length > mountpoint.length
    ? renamed(message, message.topic.slice(mountpoint.length), topics)
    : message
