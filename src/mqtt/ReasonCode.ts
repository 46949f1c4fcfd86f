/**
 * The reason codes of MQTT 5 by their names in the specification (section 2.4), and what becomes of them towards an
 * MQTT 3.1.1 client, whose CONNACK knows six return codes.
 */

export const ReasonCode = {
  Success: 0x00,
  NormalDisconnection: 0x00,
  GrantedQoS0: 0x00,
  GrantedQoS1: 0x01,
  GrantedQoS2: 0x02,
  DisconnectWithWillMessage: 0x04,
  NoMatchingSubscribers: 0x10,
  NoSubscriptionExisted: 0x11,
  ContinueAuthentication: 0x18,
  ReAuthenticate: 0x19,
  UnspecifiedError: 0x80,
  MalformedPacket: 0x81,
  ProtocolError: 0x82,
  ImplementationSpecificError: 0x83,
  UnsupportedProtocolVersion: 0x84,
  ClientIdentifierNotValid: 0x85,
  BadUserNameOrPassword: 0x86,
  NotAuthorized: 0x87,
  ServerUnavailable: 0x88,
  ServerBusy: 0x89,
  Banned: 0x8a,
  ServerShuttingDown: 0x8b,
  BadAuthenticationMethod: 0x8c,
  KeepAliveTimeout: 0x8d,
  SessionTakenOver: 0x8e,
  TopicFilterInvalid: 0x8f,
  TopicNameInvalid: 0x90,
  PacketIdentifierInUse: 0x91,
  PacketIdentifierNotFound: 0x92,
  ReceiveMaximumExceeded: 0x93,
  TopicAliasInvalid: 0x94,
  PacketTooLarge: 0x95,
  MessageRateTooHigh: 0x96,
  QuotaExceeded: 0x97,
  AdministrativeAction: 0x98,
  PayloadFormatInvalid: 0x99,
  RetainNotSupported: 0x9a,
  QoSNotSupported: 0x9b,
  UseAnotherServer: 0x9c,
  ServerMoved: 0x9d,
  SharedSubscriptionsNotSupported: 0x9e,
  ConnectionRateExceeded: 0x9f,
  MaximumConnectTime: 0xa0,
  SubscriptionIdentifiersNotSupported: 0xa1,
  WildcardSubscriptionsNotSupported: 0xa2
} as const

export type ReasonCode = (typeof ReasonCode)[keyof typeof ReasonCode]

const spaced = (name: string): string =>
  name.replace("QoS", "Qos").replace(/(?<=[a-z])(?=[A-Z0-9])/g, " ").replace("Qos", "QoS")

// The first name of a code wins, so 0x00 is "Success".
const names = new Map<number, string>()
for (const [name, code] of Object.entries(ReasonCode)) if (!names.has(code)) names.set(code, spaced(name))

/** The code's name as the specification writes it ("Malformed Packet"), for logs; an unknown code by its number. */
export const reasonName = (code: number): string => names.get(code) ?? `Reason 0x${code.toString(16).padStart(2, "0")}`

/**
 * The return code of a 3.1 or 3.1.1 CONNACK (3.1.1 table 3.1) that says most nearly what the reason code says. 0 only for
 * success; 3, Server unavailable, for whatever those versions have no word for.
 */
export const connackReturnCode = (reasonCode: number): 0 | 1 | 2 | 3 | 4 | 5 => {
  switch (reasonCode) {
    case ReasonCode.Success:
      return 0
    case ReasonCode.UnsupportedProtocolVersion:
      return 1
    case ReasonCode.ClientIdentifierNotValid:
      return 2
    case ReasonCode.BadUserNameOrPassword:
      return 4
    case ReasonCode.NotAuthorized:
    case ReasonCode.Banned:
    case ReasonCode.BadAuthenticationMethod:
      return 5
    default:
      return 3
  }
}
