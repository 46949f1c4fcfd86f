/**
 * The rules of topic names and topic filters on text: what is valid, what matches what, what the prefixes of shared and
 * local subscriptions mean. The packet path does not come here (TopicTable does its checks on bytes).
 */

const slash = 0x2f
const plus = 0x2b
const hash = 0x23

const fitsOneString = (text: string): boolean =>
  text.length > 0 && text.length <= 65_535 && (text.length <= 21_845 || new TextEncoder().encode(text).length <= 65_535)

/** Not empty, at most 65,535 bytes, no U+0000, no lone surrogate [MQTT-4.7.3-1] [MQTT-4.7.3-2] [MQTT-4.7.3-3]. */
const isTopicText = (text: string): boolean => fitsOneString(text) && !text.includes("\0") && text.isWellFormed()

export const hasWildcard = (text: string): boolean => text.includes("+") || text.includes("#")

/** [MQTT-4.7.1-1] [MQTT5-4.7.0-1] no wildcards in a topic name. */
export const validateTopicName = (text: string): boolean => isTopicText(text) && !hasWildcard(text)

/**
 * The part that is matched, without `$share/…` and the like: '#' only as the last level [MQTT-4.7.1-2] [MQTT5-4.7.1-1] and
 * both wildcards only as a whole level [MQTT-4.7.1-3] [MQTT5-4.7.1-2].
 */
export const validateTopicFilter = (text: string): boolean => {
  if (!isTopicText(text)) return false
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c !== plus && c !== hash) continue
    if (i > 0 && text.charCodeAt(i - 1) !== slash) return false
    if (i + 1 < text.length && (c === hash || text.charCodeAt(i + 1) !== slash)) return false
  }
  return true
}

/** Count of levels: 1 for "a", 2 for "a/" and "/a". */
export const levelsOf = (text: string): number => {
  let levels = 1
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) === slash) levels++
  return levels
}

/** What the broker says of itself: nobody else publishes there. Of a filter: whether that is all that it can match. */
export const isSystemTopic = (text: string): boolean =>
  text.startsWith("$SYS") && (text.length === 4 || text.charCodeAt(4) === slash)

export const splitLevels = (text: string): Array<string> => text.split("/")

/**
 * Whether a valid filter matches a valid name, level by level: the plain statement of section 4.7 that faster structures
 * are tested against. A leading wildcard never matches a name that begins with '$' [MQTT-4.7.2-1].
 */
export const matches = (topicFilter: string, topicName: string): boolean => {
  if (topicName.startsWith("$") && (topicFilter.startsWith("+") || topicFilter.startsWith("#"))) return false
  const filter = splitLevels(topicFilter)
  const name = splitLevels(topicName)
  for (let i = 0; i < filter.length; i++) {
    const level = filter[i]
    // '#' stands for the parent level too: "a/#" matches "a".
    if (level === "#") return true
    if (i >= name.length) return false
    if (level !== "+" && level !== name[i]) return false
  }
  return filter.length === name.length
}

export interface SharedFilter {
  /** The share name; "$queue" for `$queue/…`; undefined when the subscription is not shared. */
  readonly group: string | undefined
  /** `$local/…`: messages of this node alone. */
  readonly local: boolean
  /** What is matched; not validated here. */
  readonly filter: string
}

/**
 * Takes the prefixes off a topic filter: `$local/` (may stand before the others), `$share/<group>/`, `$queue/`. Undefined when a
 * prefix has no group or no filter after it, or the group has a wildcard [MQTT-4.8.2-1] [MQTT-4.8.2-2].
 */
export const parseSharedFilter = (text: string): SharedFilter | undefined => {
  const local = text.startsWith("$local/")
  const rest = local ? text.slice(7) : text
  if (rest === "") return undefined
  if (rest.startsWith("$queue/")) {
    const filter = rest.slice(7)
    return filter === "" ? undefined : { group: "$queue", local, filter }
  }
  if (rest.startsWith("$share/")) {
    const groupEnd = rest.indexOf("/", 7)
    if (groupEnd === -1) return undefined
    const group = rest.slice(7, groupEnd)
    const filter = rest.slice(groupEnd + 1)
    return group === "" || filter === "" || hasWildcard(group) ? undefined : { group, local, filter }
  }
  return { group: undefined, local, filter: rest }
}
