// Packets byte by byte, right unless a test says otherwise, for what mqtt-packet would refuse to write.

import { bytes, frame, properties, text } from "./bytes.ts"
import type { Version } from "./TestClient.ts"

type Part = string | number | Uint8Array

const uint16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff)

/** Properties where the version has them, else nothing. */
export const props = (version: Version, ...parts: ReadonlyArray<Part>): Buffer =>
  version === 5 ? properties(...parts) : Buffer.alloc(0)

export const connectBytes = (version: Version, options: {
  readonly header?: number
  readonly name?: string
  readonly level?: number
  readonly flags?: number
  readonly keepAlive?: number
  readonly properties?: ReadonlyArray<Part>
  readonly clientId?: string | Uint8Array
  /** what follows the client identifier */
  readonly rest?: ReadonlyArray<Part>
} = {}): Buffer =>
  frame(
    options.header ?? 0x10,
    text(options.name ?? (version === 3 ? "MQIsdp" : "MQTT")),
    options.level ?? version,
    options.flags ?? 0x02,
    uint16(options.keepAlive ?? 60),
    props(version, ...options.properties ?? []),
    text(options.clientId ?? ""),
    ...options.rest ?? []
  )

/** `header` 0x30 to 0x3f; the packet identifier is left out when undefined. */
export const publishBytes = (version: Version, header: number, topic: string | Uint8Array, options: {
  readonly messageId?: number
  readonly properties?: ReadonlyArray<Part>
  readonly payload?: string | Uint8Array
} = {}): Buffer =>
  frame(
    header,
    text(topic),
    options.messageId === undefined ? "" : uint16(options.messageId),
    props(version, ...options.properties ?? []),
    Buffer.from(options.payload ?? "")
  )

/** SUBSCRIBE with one filter. */
export const subscribeBytes = (version: Version, filter: string | Uint8Array, options: {
  readonly header?: number
  readonly messageId?: number
  readonly properties?: ReadonlyArray<Part>
  readonly qos?: 0 | 1 | 2
  /** the whole byte of the subscription options, in place of `qos` */
  readonly option?: number
} = {}): Buffer =>
  frame(
    options.header ?? 0x82,
    uint16(options.messageId ?? 1),
    props(version, ...options.properties ?? []),
    text(filter),
    options.option ?? options.qos ?? 0
  )

export const unsubscribeBytes = (version: Version, filter: string | Uint8Array, options: {
  readonly header?: number
  readonly messageId?: number
  readonly properties?: ReadonlyArray<Part>
} = {}): Buffer =>
  frame(
    options.header ?? 0xa2,
    uint16(options.messageId ?? 1),
    props(version, ...options.properties ?? []),
    text(filter)
  )

/** A user property: 0x26 and its two strings. */
export const userProperty = (name: string | Uint8Array, value: string | Uint8Array): Buffer =>
  bytes(0x26, text(name), text(value))
