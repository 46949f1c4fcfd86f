// What comes to the wrong port is named for the operator, and a CONNECT is left to be judged as a packet.
import { assert, describe, it } from "vitest"
import { judgeFirstByte } from "../../src/connection/handshake.ts"
import { ProtocolError } from "../../src/mqtt/ProtocolError.ts"
import { bytes } from "../support/bytes.ts"

const said = (chunk: Buffer): string => {
  try {
    judgeFirstByte(chunk)
    return "nothing"
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    assert.deepStrictEqual([error.reasonCode, error.clause], [0x82, "MQTT-3.1.0-1"])
    return error.message
  }
}

describe("the first bytes of a connection", () => {
  it("of TLS, also when only one has come", () => {
    for (const hex of ["16 03 01 00 05", "16 03 03", "16"]) {
      assert.match(said(bytes(hex)), /a TLS handshake; this listener speaks without TLS/)
    }
  })

  it("of HTTP", () => {
    for (const line of ["GET / HTTP/1.1\r\n", "POST /a HTTP/1.1\r\n", "HEAD / HTTP/1.0\r\n"]) {
      assert.match(said(Buffer.from(line)), /an HTTP request; for WebSocket a listener of type ws or wss is meant/)
    }
  })

  it("of something else", () => {
    for (const first of [Buffer.from("GETTING"), Buffer.from("SSH-2.0-x"), bytes("30 03")]) {
      assert.match(said(first), /^the first packet is not a CONNECT \(/)
    }
  })

  it("of a CONNECT, whose flags are judged with the packet", () => {
    for (const hex of ["10 0c", "10", "16 0c 00 04", "11 00"]) assert.strictEqual(said(bytes(hex)), "nothing")
  })
})
