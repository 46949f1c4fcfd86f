// The request with which a WebSocket begins: what is accepted, and what everybody else reads.
import { assert, describe, it } from "@effect/vitest"
import { answerUpgrade, endOfHead, notHttp, type UpgradeRules } from "../../../src/listener/websocket/upgrade.ts"

const rules: UpgradeRules = {
  path: "/mqtt",
  requireSubprotocol: true,
  allowedOrigins: [],
  trustForwardedFor: false,
  favoursLoopback: false
}

const good: ReadonlyArray<readonly [string, string]> = [
  ["Host", "broker"],
  ["Upgrade", "websocket"],
  ["Connection", "keep-alive, Upgrade"],
  ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="],
  ["Sec-WebSocket-Version", "13"],
  ["Sec-WebSocket-Protocol", "mqtt"]
]

/** A good request with some headers changed; "" leaves one out. */
const request = (changes: Readonly<Record<string, string>> = {}, line = "GET /mqtt HTTP/1.1"): Buffer => {
  const headers = new Map(good)
  for (const [name, value] of Object.entries(changes)) {
    if (value === "") headers.delete(name)
    else headers.set(name, value)
  }
  return Buffer.from(`${line}\r\n${[...headers].map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`)
}

const answer = (head: Buffer, changed: Partial<UpgradeRules> = {}, address = "192.0.2.1") => {
  const peer = { isLoopback: (forwarded: string | undefined) => (forwarded ?? address) === "127.0.0.1" }
  const answer = answerUpgrade(head, { ...rules, ...changed }, peer)
  return { ...answer, text: answer.response.toString() }
}

describe("answerUpgrade", () => {
  it("the example of RFC 6455: the key is answered", () => {
    assert.strictEqual(
      answer(request()).text,
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
    )
  })

  it.each<readonly [string, string]>([
    ["mqtt", "mqtt"],
    ["mqttv3.1", "mqttv3.1"],
    ["mqttv3.1.1", "mqttv3.1.1"],
    ["mqttv3.1, mqtt", "mqttv3.1"],
    ["soap, mqtt", "mqtt"]
  ])("[MQTT-6.0.0-3] [MQTT-6.0.0-4] [MQTT5-6.0.0-3] [MQTT5-6.0.0-4] offered %j, chosen %j", (offered, chosen) => {
    assert.include(
      answer(request({ "Sec-WebSocket-Protocol": offered })).text,
      `\r\nSec-WebSocket-Protocol: ${chosen}\r\n`
    )
  })

  it("names of headers in any case, and a query behind the path", () => {
    const shouted = request({}, "GET /mqtt?token=1 HTTP/1.1").toString().replace(
      "Upgrade: websocket",
      "UPGRADE:WebSocket"
    )
    assert.strictEqual(answer(Buffer.from(shouted))._tag, "Accepted")
  })

  it.each<readonly [what: string, head: Buffer, status: number, reason: string, text: RegExp]>([
    [
      "plain HTTP",
      request({ Upgrade: "" }, "GET / HTTP/1.1"),
      426,
      "plain HTTP",
      /speaks MQTT over WebSocket at \/mqtt/
    ],
    [
      "plain POST",
      request({ Connection: "close" }, "POST /mqtt HTTP/1.1"),
      426,
      "plain HTTP",
      /Upgrade: websocket\r\n/
    ],
    ["a wrong path", request({}, "GET /ws HTTP/1.1"), 404, "path /ws", /ws:\/\/…\/mqtt/],
    ["a path that only begins well", request({}, "GET /mqtt/x HTTP/1.1"), 404, "path /mqtt/x", /404 Not Found/],
    ["no GET", request({}, "PUT /mqtt HTTP/1.1"), 405, "not a GET request", /\r\nAllow: GET\r\n/],
    ["HTTP/1.0", request({}, "GET /mqtt HTTP/1.0"), 400, "no HTTP/1.1 request", /400 Bad Request/],
    ["a header without a colon", request({ "X\r\nNonsense": "1" }), 400, "no HTTP/1.1 request", /400 Bad Request/],
    [
      "version 8",
      request({ "Sec-WebSocket-Version": "8" }),
      426,
      "another version of WebSocket",
      /\r\nSec-WebSocket-Version: 13\r\n/
    ],
    ["no version", request({ "Sec-WebSocket-Version": "" }), 426, "another version of WebSocket", /version 13/],
    ["no key", request({ "Sec-WebSocket-Key": "" }), 400, "no good Sec-WebSocket-Key", /16 bytes/],
    ["a short key", request({ "Sec-WebSocket-Key": "YWJj" }), 400, "no good Sec-WebSocket-Key", /16 bytes/],
    ["no subprotocol", request({ "Sec-WebSocket-Protocol": "" }), 400, "no subprotocol", /must offer .*"mqtt"/],
    [
      "another subprotocol",
      request({ "Sec-WebSocket-Protocol": "MQTT" }),
      400,
      "subprotocol MQTT",
      /must offer .*"mqtt"/
    ]
  ])("%s", (_, head, status, reason, text) => {
    const refused = answer(head)
    assert.deepInclude(refused, { _tag: "Refused", status, reason })
    assert.match(refused.text, new RegExp(`^HTTP/1.1 ${status} `))
    assert.match(refused.text, text)
    const [top = "", body = ""] = refused.text.split("\r\n\r\n")
    assert.include(top, `\r\nContent-Length: ${Buffer.byteLength(body)}`)
    assert.match(top, /\r\nConnection: .*close/)
  })

  it("without require_subprotocol none is fine, another one is not", () => {
    const lenient = { requireSubprotocol: false }
    const none = answer(request({ "Sec-WebSocket-Protocol": "" }), lenient)
    assert.strictEqual(none._tag, "Accepted")
    assert.notInclude(none.text, "Sec-WebSocket-Protocol")
    assert.strictEqual(answer(request({ "Sec-WebSocket-Protocol": "soap" }), lenient)._tag, "Refused")
  })

  it("pages of other origins are refused where origins are named; a client that is no page has none", () => {
    const strict = { allowedOrigins: ["https://example.com", "http://localhost:8080"] }
    assert.strictEqual(answer(request({ Origin: "https://elsewhere.com" }))._tag, "Accepted")
    assert.strictEqual(answer(request({ Origin: "https://Example.com" }), strict)._tag, "Accepted")
    assert.strictEqual(answer(request(), strict)._tag, "Accepted")
    for (const origin of ["https://elsewhere.com", "http://example.com", "https://example.com.evil", "null"]) {
      assert.deepInclude(answer(request({ Origin: origin }), strict), { status: 403, reason: `origin ${origin}` })
    }
  })

  it("where loopback is favoured, a browser on this machine does not connect for pages from elsewhere", () => {
    const from = (origin: string, address: string, changed: Partial<UpgradeRules> = {}): string =>
      answer(request({ Origin: origin }), { favoursLoopback: true, ...changed }, address)._tag
    const own = ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:80", "http://app.localhost"]
    for (const origin of own) assert.strictEqual(from(origin, "127.0.0.1"), "Accepted", origin)
    const foreign = ["https://example.com", "null", "http://localhost.example.com", "http://127.0.0.1.example.com"]
    for (const origin of foreign) {
      assert.strictEqual(from(origin, "127.0.0.1"), "Refused", origin)
      assert.strictEqual(from(origin, "192.0.2.1"), "Accepted", origin)
      assert.strictEqual(from(origin, "127.0.0.1", { favoursLoopback: false }), "Accepted", origin)
      assert.strictEqual(from(origin, "127.0.0.1", { allowedOrigins: [origin] }), "Accepted", origin)
    }
    const proxied = request({ Origin: "https://example.com", "X-Forwarded-For": "192.0.2.1" })
    const trusting = { favoursLoopback: true, trustForwardedFor: true }
    assert.strictEqual(answer(proxied, trusting, "127.0.0.1")._tag, "Accepted")
    assert.match(answer(proxied, { favoursLoopback: true }, "127.0.0.1").text, /^HTTP\/1.1 403 /)
  })

  it.each<readonly [string, string | undefined]>([
    ["192.0.2.1", "192.0.2.1"],
    ["10.9.9.9, 192.0.2.1", "192.0.2.1"],
    ["192.0.2.1:4711", "192.0.2.1"],
    ["[2001:db8::1]:4711", "2001:db8::1"],
    ["2001:db8::1", "2001:db8::1"],
    ["unknown", undefined],
    ["192.0.2.1, ", "192.0.2.1"],
    ["192.0.2.1, <script>", undefined]
  ])("X-Forwarded-For: %s is %s where it is trusted, and nothing where not", (value, address) => {
    const head = request({ "X-Forwarded-For": value })
    assert.deepInclude(answer(head, { trustForwardedFor: true }), { _tag: "Accepted", forwardedFor: address })
    assert.deepInclude(answer(head), { _tag: "Accepted", forwardedFor: undefined })
  })
})

describe("the head of a request", () => {
  it("ends with an empty line, wherever it was cut", () => {
    const head = Buffer.concat([request(), Buffer.from("rest")])
    const end = head.length - 4
    for (let seen = 0; seen < end; seen++) {
      assert.strictEqual(endOfHead(head.subarray(0, seen), 0), 0)
      assert.strictEqual(endOfHead(head, seen), end)
    }
  })

  it("what is no HTTP is known by its first byte", () => {
    assert.isUndefined(notHttp("G".charCodeAt(0), "/mqtt"))
    assert.match(notHttp(0x10, "/mqtt")?.reason ?? "", /^MQTT without WebSocket/)
    assert.match(notHttp(0x16, "/mqtt")?.reason ?? "", /^TLS/)
    assert.strictEqual(notHttp(0, "/mqtt")?.status, 400)
  })
})
