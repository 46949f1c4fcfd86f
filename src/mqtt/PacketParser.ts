import { Buffer } from "node:buffer"
import { parser, writeToStream } from "mqtt-packet"
import type { Packet as ParsedPacket, PacketCmd, Parser } from "mqtt-packet"
import type { ProtocolVersion } from "./Packet.ts"
import { ProtocolError } from "./ProtocolError.ts"
import { ReasonCode } from "./ReasonCode.ts"

/**
 * mqtt-packet's parser as a function: one whole packet in, one object out. One instance for CONNECT and one for each version,
 * shared by all connections: it answers before `parse` returns, so nobody ever sees another's packet.
 * Invariant: it gets only packets that passed our own checks; that it still refuses one is a ProtocolError, never another exception.
 */

// It would build a cache of 65,536 buffers (12 MB) on first use.
writeToStream.cacheNumbers = false

let parsed: ParsedPacket | undefined
let refused: unknown

const make = (version: ProtocolVersion): Parser =>
  parser({ protocolVersion: version })
    .on("packet", (packet) => {
      parsed = packet
    })
    .on("error", (error: unknown) => {
      refused = error
    })

let parsers = { 1: make(4), 3: make(3), 4: make(4), 5: make(5) }

/** `which` is the version, or 1 for CONNECT, whose parser takes the version from the packet itself. */
export const parsePacket = <C extends PacketCmd>(
  which: 1 | ProtocolVersion,
  command: C,
  frame: Buffer
): Extract<ParsedPacket, { readonly cmd: C }> => {
  parsed = undefined
  refused = undefined
  try {
    parsers[which].parse(frame)
  } catch (error) {
    refused = error
  }
  const packet = parsed as ParsedPacket | undefined
  parsed = undefined
  if (refused === undefined && packet !== undefined && isCommand(packet, command)) return packet
  // Half a packet may be left in it.
  parsers = { ...parsers, [which]: make(which === 1 ? 4 : which) }
  const reason = refused instanceof Error ? refused.message : "no packet"
  throw new ProtocolError(ReasonCode.MalformedPacket, "MQTT5-4.13.1", `a ${command} that cannot be read: ${reason}`)
}

const isCommand = <C extends PacketCmd>(
  packet: ParsedPacket,
  command: C
): packet is Extract<ParsedPacket, { readonly cmd: C }> => packet.cmd === command

/** mqtt-packet gives views of what it read: a copy, so that a password does not pin a read buffer. */
export const copied = (bytes: Uint8Array | string | undefined): Uint8Array | undefined =>
  bytes === undefined ? undefined : new Uint8Array(typeof bytes === "string" ? Buffer.from(bytes) : bytes)
