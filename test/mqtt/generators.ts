// Random but right packets for the property tests, and the bytes that say the same: a seed gives the same packet everywhere.
import {
  type Auth,
  type Connect,
  type ControlPacket,
  type Disconnect,
  noMaximumPacketSize,
  type ProtocolVersion,
  type PublishProperties,
  type QoS,
  type Subscribe,
  type Unsubscribe,
  type UserProperties,
  type Will
} from "../../src/mqtt/Packet.ts"
import { frame, properties, text, variableByteInteger } from "../support/bytes.ts"

export class Random {
  private state: number

  constructor(seed: number) {
    this.state = Math.imul(seed + 1, 0x9e3779b1) >>> 0
  }

  /** 0 to n - 1 (mulberry32). */
  below(n: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let t = this.state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n)
  }

  one<A>(values: ReadonlyArray<A>): A {
    return values[this.below(values.length)] as A
  }

  chance(oneIn: number): boolean {
    return this.below(oneIn) === 0
  }

  maybe<A>(make: () => A): A | undefined {
    return this.chance(2) ? make() : undefined
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)))
  }

  shuffled<A>(values: ReadonlyArray<A>): Array<A> {
    const result = [...values]
    for (let i = result.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const held = result[i] as A
      result[i] = result[j] as A
      result[j] = held
    }
    return result
  }
}

const pieces = [
  "a",
  "b",
  "sensors",
  "1",
  "10",
  " ",
  "ä",
  "日本",
  "\u{1F600}",
  "\ufeff",
  "$",
  "$SYS",
  "",
  "x".repeat(40),
  "\u007f"
]

export const someText = (r: Random): string => Array.from({ length: r.below(4) }, () => r.one(pieces)).join("")

export const someTopic = (r: Random): string => {
  const topic = Array.from({ length: 1 + r.below(5) }, () => someText(r)).join("/")
  return topic === "" ? "t" : topic
}

/** Payloads at the borders of the remaining length too. */
export const somePayload = (r: Random): Buffer => {
  if (r.chance(6)) return r.bytes(100 + r.below(60))
  if (r.chance(40)) return Buffer.alloc(16_300 + r.below(200), r.below(256))
  return r.bytes(r.below(30))
}

const someNumber = (r: Random, maximum: number): number =>
  Math.min(maximum, r.one([0, 1, 127, 128, 255, 256, 65_535, 65_536, maximum, r.below(maximum)]))

/** Names that mqtt-packet's object of user properties cannot hold in order are among them, unless `plain`. */
export const someUserProperties = (r: Random, plain = false): UserProperties => {
  if (plain) {
    const names = r.shuffled(["k", "name", "ä", ""]).slice(0, r.below(4))
    return names.map((name) => [name, someText(r) || "v"] as const)
  }
  return Array.from(
    { length: r.below(5) },
    () => [r.one(["k", "b", "10", "2", "", "ä", "__proto__"]), someText(r)] as const
  )
}

/** Undefined values left out. */
const present = <A extends object>(value: A): A =>
  Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as A

export const somePublishProperties = (r: Random, plain = false): PublishProperties | null => {
  if (r.chance(3)) return null
  const userProperties = someUserProperties(r, plain)
  const some = present<PublishProperties>({
    payloadFormatIndicator: r.maybe(() => r.one([0, 1] as const)),
    messageExpiryInterval: r.maybe(() => someNumber(r, 0xffff_ffff)),
    responseTopic: r.maybe(() => someTopic(r)),
    correlationData: r.maybe(() => new Uint8Array(r.bytes(r.below(20)))),
    contentType: r.maybe(() => someText(r)),
    userProperties: userProperties.length === 0 ? undefined : userProperties
  })
  return Object.keys(some).length === 0 ? null : some
}

const uint16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff)

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

const property = (identifier: number, value: Uint8Array | undefined): Array<Buffer> =>
  value === undefined ? [] : [Buffer.concat([Buffer.of(identifier), value])]

const byteOf = (value: number | undefined) => value === undefined ? undefined : Buffer.of(value)
const int16Of = (value: number | undefined) => value === undefined ? undefined : uint16(value)
const int32Of = (value: number | undefined) => value === undefined ? undefined : uint32(value)
const textOf = (value: string | Uint8Array | undefined) => value === undefined ? undefined : text(value)

const pairs = (from: UserProperties): Array<Buffer> =>
  from.map(([name, value]) => Buffer.concat([Buffer.of(0x26), text(name), text(value)]))

/** The other properties in any order between the user properties in theirs. */
const section = (r: Random, others: ReadonlyArray<Buffer>, userProperties: UserProperties): Buffer => {
  const left = pairs(userProperties)
  const parts: Array<Buffer> = []
  for (const other of r.shuffled(others)) {
    while (left.length > 0 && r.chance(2)) parts.push(left.shift() as Buffer)
    parts.push(other)
  }
  return properties(...parts, ...left)
}

const publishSection = (r: Random, from: PublishProperties | null, more: ReadonlyArray<Buffer> = []): Buffer =>
  section(r, [
    ...property(0x01, byteOf(from?.payloadFormatIndicator)),
    ...property(0x02, int32Of(from?.messageExpiryInterval)),
    ...property(0x03, textOf(from?.contentType)),
    ...property(0x08, textOf(from?.responseTopic)),
    ...property(0x09, textOf(from?.correlationData)),
    ...more
  ], from?.userProperties ?? [])

export interface Publish {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: QoS
  readonly dup: boolean
  readonly retain: boolean
  readonly packetIdentifier: number
  readonly properties: PublishProperties | null
  /** 0 = none. */
  readonly topicAlias: number
}

export const somePublish = (r: Random, version: ProtocolVersion, plain = false): Publish => {
  const qos = r.one([0, 1, 2] as const)
  return {
    topic: someTopic(r),
    payload: somePayload(r),
    qos,
    dup: qos > 0 && r.chance(2),
    retain: r.chance(2),
    packetIdentifier: qos === 0 ? 0 : 1 + r.below(65_535),
    properties: version === 5 ? somePublishProperties(r, plain) : null,
    topicAlias: version === 5 && r.chance(3) ? 1 + r.below(10) : 0
  }
}

export const bytesOfPublish = (r: Random, version: ProtocolVersion, publish: Publish, omitTopic = false): Buffer =>
  frame(
    0x30 | (publish.dup ? 8 : 0) | (publish.qos << 1) | (publish.retain ? 1 : 0),
    text(omitTopic ? "" : publish.topic),
    publish.qos === 0 ? "" : uint16(publish.packetIdentifier),
    version === 5
      ? publishSection(r, publish.properties, property(0x23, int16Of(publish.topicAlias || undefined)))
      : "",
    publish.payload
  )

const someWill = (r: Random, version: ProtocolVersion): Will => ({
  topic: someTopic(r),
  payload: new Uint8Array(r.bytes(r.below(40))),
  qos: r.one([0, 1, 2] as const),
  retain: r.chance(2),
  delayIntervalSeconds: version === 5 ? someNumber(r, 0xffff_ffff) : 0,
  properties: version === 5 ? somePublishProperties(r) : null
})

export const someConnect = (r: Random, version: ProtocolVersion): Connect => {
  const v5 = version === 5
  const username = r.maybe(() => someText(r))
  const authenticationMethod = v5 ? r.maybe(() => someText(r)) : undefined
  return {
    _tag: "Connect",
    protocolVersion: version,
    cleanStart: r.chance(2),
    keepAliveSeconds: someNumber(r, 65_535),
    clientId: someText(r),
    username,
    password: username === undefined && !v5 ? undefined : r.maybe(() => new Uint8Array(r.bytes(r.below(20)))),
    will: r.maybe(() => someWill(r, version)),
    sessionExpiryInterval: v5 ? r.maybe(() => someNumber(r, 0xffff_ffff)) : undefined,
    receiveMaximum: v5 && r.chance(2) ? 1 + r.below(65_535) : 65_535,
    maximumPacketSize: v5 && r.chance(2) ? 1 + someNumber(r, 0xffff_fffe) : noMaximumPacketSize,
    topicAliasMaximum: v5 ? someNumber(r, 65_535) : 0,
    requestResponseInformation: v5 && r.chance(2),
    requestProblemInformation: !v5 || r.chance(2),
    userProperties: v5 ? someUserProperties(r) : [],
    authenticationMethod,
    authenticationData: authenticationMethod === undefined
      ? undefined
      : r.maybe(() => new Uint8Array(r.bytes(r.below(9)))),
    bridge: r.chance(8)
  }
}

const bytesOfConnect = (r: Random, packet: Connect): Buffer => {
  const { will, username, password, protocolVersion: version } = packet
  const flags = (username === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40) |
    (will === undefined ? 0 : 4 | (will.qos << 3) | (will.retain ? 0x20 : 0)) | (packet.cleanStart ? 2 : 0)
  const optional = <A>(value: A, absent: A): A | undefined => value === absent && r.chance(2) ? undefined : value
  const own = [
    ...property(0x11, int32Of(packet.sessionExpiryInterval)),
    ...property(0x21, int16Of(optional(packet.receiveMaximum, 65_535))),
    ...property(0x27, packet.maximumPacketSize === noMaximumPacketSize ? undefined : uint32(packet.maximumPacketSize)),
    ...property(0x22, int16Of(optional(packet.topicAliasMaximum, 0))),
    ...property(0x19, byteOf(optional(packet.requestResponseInformation ? 1 : 0, 0))),
    ...property(0x17, byteOf(optional(packet.requestProblemInformation ? 1 : 0, 1))),
    ...property(0x15, textOf(packet.authenticationMethod)),
    ...property(0x16, textOf(packet.authenticationData))
  ]
  const ofWill = (one: Will): Buffer =>
    publishSection(r, one.properties, property(0x18, int32Of(optional(one.delayIntervalSeconds, 0))))
  return frame(
    0x10,
    text(version === 3 ? "MQIsdp" : "MQTT"),
    version | (packet.bridge ? 0x80 : 0),
    flags,
    uint16(packet.keepAliveSeconds),
    version === 5 ? section(r, own, packet.userProperties) : "",
    text(packet.clientId),
    ...will === undefined ? [] : [version === 5 ? ofWill(will) : "", text(will.topic), text(will.payload)],
    username === undefined ? "" : text(username),
    password === undefined ? "" : text(password)
  )
}

const someSubscribe = (r: Random, version: ProtocolVersion): Subscribe => ({
  _tag: "Subscribe",
  packetIdentifier: 1 + r.below(65_535),
  subscriptions: Array.from({ length: 1 + r.below(6) }, () => ({
    topicFilter: r.one([someTopic(r), `${someTopic(r)}/#`, `+/${someTopic(r)}`]),
    qos: r.one([0, 1, 2] as const),
    noLocal: version === 5 && r.chance(2),
    retainAsPublished: version === 5 && r.chance(2),
    retainHandling: version === 5 ? r.one([0, 1, 2] as const) : 0
  })),
  subscriptionIdentifier: version === 5 ? Math.min(268_435_455, someNumber(r, 268_435_455)) : 0,
  userProperties: version === 5 ? someUserProperties(r) : []
})

const someUnsubscribe = (r: Random, version: ProtocolVersion): Unsubscribe => ({
  _tag: "Unsubscribe",
  packetIdentifier: 1 + r.below(65_535),
  topicFilters: Array.from({ length: 1 + r.below(6) }, () => someTopic(r)),
  userProperties: version === 5 ? someUserProperties(r) : []
})

const someDisconnect = (r: Random, version: ProtocolVersion): Disconnect => ({
  _tag: "Disconnect",
  reasonCode: version === 5 ? r.one([0x00, 0x04, 0x80, 0x81, 0x82, 0x93, 0x99]) : 0,
  sessionExpiryInterval: version === 5 ? r.maybe(() => someNumber(r, 0xffff_ffff)) : undefined,
  reasonString: version === 5 ? r.maybe(() => someText(r)) : undefined,
  serverReference: version === 5 ? r.maybe(() => someText(r)) : undefined,
  userProperties: version === 5 ? someUserProperties(r) : []
})

const someAuth = (r: Random): Auth => ({
  _tag: "Auth",
  reasonCode: r.one([0x18, 0x19]),
  authenticationMethod: someText(r),
  authenticationData: r.maybe(() => new Uint8Array(r.bytes(r.below(9)))),
  reasonString: r.maybe(() => someText(r)),
  userProperties: someUserProperties(r)
})

export const someControl = (r: Random, version: ProtocolVersion): ControlPacket => {
  switch (r.below(version === 5 ? 6 : 5)) {
    case 0:
      return someConnect(r, version)
    case 1:
      return someSubscribe(r, version)
    case 2:
      return someUnsubscribe(r, version)
    case 3:
      return someDisconnect(r, version)
    case 4:
      return { _tag: "Pingreq" }
    default:
      return someAuth(r)
  }
}

/** The bytes of a packet; what is at its default is written or left out as it happens. */
export const bytesOfControl = (r: Random, version: ProtocolVersion, packet: ControlPacket): Buffer => {
  const v5 = version === 5
  switch (packet._tag) {
    case "Connect":
      return bytesOfConnect(r, packet)
    case "Subscribe": {
      const identifier = packet.subscriptionIdentifier
      const own = property(0x0b, identifier === 0 ? undefined : variableByteInteger(identifier))
      const filters = packet.subscriptions.map((one) =>
        Buffer.concat([
          text(one.topicFilter),
          Buffer.of(one.qos | (one.noLocal ? 4 : 0) | (one.retainAsPublished ? 8 : 0) | (one.retainHandling << 4))
        ])
      )
      return frame(0x82, uint16(packet.packetIdentifier), v5 ? section(r, own, packet.userProperties) : "", ...filters)
    }
    case "Unsubscribe":
      return frame(
        0xa2,
        uint16(packet.packetIdentifier),
        v5 ? section(r, [], packet.userProperties) : "",
        ...packet.topicFilters.map((filter) => text(filter))
      )
    case "Disconnect": {
      if (!v5) return frame(0xe0)
      const own = [
        ...property(0x11, int32Of(packet.sessionExpiryInterval)),
        ...property(0x1f, textOf(packet.reasonString)),
        ...property(0x1c, textOf(packet.serverReference))
      ]
      if (own.length === 0 && packet.userProperties.length === 0) {
        return packet.reasonCode === 0 && r.chance(2) ? frame(0xe0) : frame(0xe0, packet.reasonCode, r.one(["", "00"]))
      }
      return frame(0xe0, packet.reasonCode, section(r, own, packet.userProperties))
    }
    case "Auth": {
      const own = [
        ...property(0x15, textOf(packet.authenticationMethod)),
        ...property(0x16, textOf(packet.authenticationData)),
        ...property(0x1f, textOf(packet.reasonString))
      ]
      return frame(0xf0, packet.reasonCode, section(r, own, packet.userProperties))
    }
    case "Pingreq":
      return frame(0xc0)
    default:
      return packet satisfies never
  }
}

/** Any packet that a client may send, acknowledgements included. */
export const somePacket = (r: Random, version: ProtocolVersion): Buffer => {
  const kind = r.below(10)
  if (kind < 4) return bytesOfPublish(r, version, somePublish(r, version))
  if (kind < 6) return bytesOfControl(r, version, someControl(r, version))
  const type = 4 + r.below(4)
  const reason = version === 5 && r.chance(2) ? Buffer.of(type < 6 ? 0x10 : 0x92) : Buffer.alloc(0)
  const props = reason.length > 0 && r.chance(2)
    ? section(r, property(0x1f, text(someText(r))), someUserProperties(r))
    : ""
  return frame((type << 4) | (type === 6 ? 2 : 0), uint16(1 + r.below(65_535)), reason, props)
}
