import { reasonName } from "./ReasonCode.ts"

/**
 * What the codec throws, and the only thing it throws: the bytes of a peer break the protocol. It carries the answer that
 * MQTT 5 wants (`reasonCode`, for CONNACK or DISCONNECT) and the statement that was broken (`clause`, "MQTT-3.3.1-4";
 * "MQTT5-…" where the two specifications number different statements alike). Older versions just close the connection.
 */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError"
  readonly reasonCode: number
  readonly clause: string

  constructor(reasonCode: number, clause: string, message: string) {
    super(`${message} (${reasonName(reasonCode)}, ${clause})`)
    this.reasonCode = reasonCode
    this.clause = clause
  }
}
