import { copyBytes } from "./copyBytes.ts"
import type { Message } from "./Message.ts"
import type { Output } from "./Output.ts"
import type { ProtocolVersion, QoS } from "./Packet.ts"
import { outgoingSize, type PublishHop, Shape, writeOutgoing, writePacketIdentifier } from "./publishLayout.ts"

/**
 * A message as the PUBLISH that one session sends. Whatever can go out as it came in is one copy and a few bytes patched.
 */

// What keeps a PUBLISH from going out as it came in.
const needsMore = Shape.Version5 | Shape.TopicAlias | Shape.Expiry

// One object for all calls: the packet path allocates nothing.
const hop: PublishHop = {
  version5: false,
  qos: 0,
  header: 0,
  packetIdentifier: 0,
  subscriptionIdentifiers: undefined,
  remainingExpiry: 0,
  topicAlias: 0,
  omitTopic: false
}

/**
 * Bytes of the whole packet; more than `noMaximumPacketSize` when it cannot be said in a fixed header, so compare with the
 * client's maximum packet size before writing. topicAlias 0 = none; omitTopic only together with an alias. Identifiers, alias and
 * omitTopic are ignored for 3.1 and 3.1.1.
 */
export const publishSize = (
  message: Message,
  version: ProtocolVersion,
  qos: QoS,
  subscriptionIdentifiers: ReadonlyArray<number> | undefined,
  topicAlias: number,
  omitTopic: boolean
): number => {
  set(version, qos, 0x30, 0, subscriptionIdentifiers, 0, topicAlias, omitTopic)
  return outgoingSize(message, hop)
}

/** Appends the packet; reserves its room itself. `now` is for what remains of a message's expiry [MQTT-3.3.2-6]. */
export const writePublish = (
  out: Output,
  message: Message,
  version: ProtocolVersion,
  qos: QoS,
  dup: boolean,
  retain: boolean,
  packetIdentifier: number,
  subscriptionIdentifiers: ReadonlyArray<number> | undefined,
  now: number,
  topicAlias: number,
  omitTopic: boolean
): void => {
  // [MQTT-3.3.1-3] [MQTT5-3.3.1-3] DUP is this hop's, whatever came in
  const header = 0x30 | (qos << 1) | (dup ? 8 : 0) | (retain ? 1 : 0)
  const shape = message.shape
  const version5 = version === 5
  if (
    (shape & needsMore) === (version5 ? Shape.Version5 : 0) && ((shape & Shape.QoS) === 0) === (qos === 0) &&
    (!version5 || (subscriptionIdentifiers === undefined && topicAlias === 0))
  ) {
    const { buffer, start, end } = message
    const size = end - start
    out.reserve(size)
    const target = out.buffer
    const at = out.position
    copyBytes(buffer, start, end, target, at)
    target[at] = header
    if (qos !== 0) writePacketIdentifier(target, at, size, packetIdentifier)
    out.position = at + size
    return
  }
  const expiry = message.expiresAt === 0 ? 0 : remainingSeconds(message.expiresAt - now)
  set(version, qos, header, packetIdentifier, subscriptionIdentifiers, expiry, topicAlias, omitTopic)
  out.reserve(outgoingSize(message, hop))
  out.position = writeOutgoing(message, hop, out.buffer, out.position)
}

/** Rounded up, so that a message which is sent at once goes with the interval it came with. */
const remainingSeconds = (milliseconds: number): number =>
  milliseconds <= 0 ? 0 : Math.min(Math.ceil(milliseconds / 1000), 0xffff_ffff)

const set = (
  version: ProtocolVersion,
  qos: QoS,
  header: number,
  packetIdentifier: number,
  subscriptionIdentifiers: ReadonlyArray<number> | undefined,
  remainingExpiry: number,
  topicAlias: number,
  omitTopic: boolean
): void => {
  const version5 = version === 5
  hop.version5 = version5
  hop.qos = qos
  hop.header = header
  hop.packetIdentifier = packetIdentifier
  hop.subscriptionIdentifiers = version5 ? subscriptionIdentifiers : undefined
  hop.remainingExpiry = remainingExpiry
  hop.topicAlias = version5 ? topicAlias : 0
  hop.omitTopic = version5 && topicAlias !== 0 && omitTopic
}
