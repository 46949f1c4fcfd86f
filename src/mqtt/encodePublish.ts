import type { Message } from "./Message.ts"
import type { Output } from "./Output.ts"
import type { ProtocolVersion, QoS } from "./Packet.ts"

/** Bytes of the whole packet. topicAlias 0 = none; omitTopic only together with an alias. */
export const publishSize = (
  _message: Message,
  _version: ProtocolVersion,
  _qos: QoS,
  _subscriptionIdentifiers: ReadonlyArray<number> | undefined,
  _topicAlias: number,
  _omitTopic: boolean
): number => {
  throw new Error("not yet")
}

/** Reserves its room itself. */
export const writePublish = (
  _out: Output,
  _message: Message,
  _version: ProtocolVersion,
  _qos: QoS,
  _dup: boolean,
  _retain: boolean,
  _packetIdentifier: number,
  _subscriptionIdentifiers: ReadonlyArray<number> | undefined,
  _now: number,
  _topicAlias: number,
  _omitTopic: boolean
): void => {
  throw new Error("not yet")
}
