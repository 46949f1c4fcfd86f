// Rows for the tests of the store, each field with a value that a wrong engine would not guess.
import {
  type Changes,
  type DeliveryRow,
  type MessageRow,
  noChanges,
  type SessionRow,
  type SubscriptionRow,
  type WillRow
} from "../../src/store/Engine.ts"

export const session = (number: number, other: Partial<SessionRow> = {}): SessionRow => ({
  session: number,
  clientId: `client-${number}`,
  expiryMillis: 3_600_000,
  expiresAt: Infinity,
  connected: true,
  will: null,
  ...other
})

const lastWill: WillRow = {
  packet: Uint8Array.of(0, 255, 128, 10),
  delaySeconds: 4_294_967_295,
  dueAt: Infinity,
  by: "größe"
}

/** With all that a session can have. */
export const whole = session(7, {
  clientId: "größe/\u{1F600}",
  expiryMillis: Infinity,
  expiresAt: 1_700_000_000_001,
  connected: false,
  zone: "Zone é",
  userName: "Nutzerin é",
  token: 1_800_000_000_000 * 1024 + 1,
  will: lastWill
})

export const subscription = (
  number: number,
  topicFilter: string,
  other: Partial<SubscriptionRow> = {}
): SubscriptionRow => ({
  session: number,
  topicFilter,
  qos: 1,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 0,
  subscriptionIdentifier: 0,
  ...other
})

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

export const message = (number: number, other: Partial<MessageRow> = {}): MessageRow => ({
  message: number,
  packet: bytes(`packet ${number}`),
  shape: 3,
  publisher: "publisher",
  receivedAt: 1_700_000_000_123,
  expiresAt: 0,
  ...other
})

export const delivery = (
  number: number,
  sequence: number,
  ofMessage: number,
  other: Partial<DeliveryRow> = {}
): DeliveryRow => ({
  session: number,
  sequence,
  message: ofMessage,
  qos: 1,
  retain: false,
  topicFilter: "a/#",
  subscriptionIdentifiers: [],
  state: 0,
  packetIdentifier: 0,
  ...other
})

export const changes = (some: Partial<Changes>): Changes => ({ ...noChanges, ...some })
