// PUBREL into the outlet of a client: the second half of a QoS 2 exchange. Plain function.
import { writeAcknowledgement } from "../mqtt/acknowledgement.ts"
import { PacketType } from "../mqtt/Packet.ts"
import type { ClientLink } from "./ClientLink.ts"

export const appendPubrel = (
  { outlet, version }: Pick<ClientLink, "outlet" | "version">,
  packetIdentifier: number,
  reasonCode: number
): void => {
  outlet.counters.packetSent(PacketType.Pubrel)
  const { output } = outlet.arena
  output.reserve(8)
  const start = output.position
  writeAcknowledgement(output, PacketType.Pubrel, packetIdentifier, reasonCode, version)
  outlet.append(output.buffer, start, output.position)
}
