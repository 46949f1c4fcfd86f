import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpClientRequest } from "effect/http"
import {
  placesOfAction,
  placesOfConnect,
  type RequestSettings,
  RequestTemplate,
  type RequestValues
} from "../../../src/access/http/requestTemplate.ts"

const values: RequestValues = {
  clientId: "c1",
  userName: "bob",
  password: "pw",
  address: "10.0.0.7",
  listener: "tcp",
  certificateName: "cn",
  certificateSubject: "CN=cn",
  topic: "a/b",
  access: "2",
  qos: "1",
  retain: "false"
}

const parse = (request: Partial<RequestSettings>, headers: ReadonlyArray<string> = [], places = placesOfConnect) =>
  RequestTemplate.parse({ url: "http://127.0.0.1:8080/auth", method: "post", params: "", ...request }, headers, places)

/** "GET http://… body", and the headers. */
const sent = (
  request: Partial<RequestSettings>,
  change: Partial<RequestValues> = {},
  headers: ReadonlyArray<string> = [],
  places = placesOfConnect
): Promise<{ readonly line: string; readonly url: URL; readonly body: string; readonly headers: Headers }> => {
  const template = parse(request, headers, places)
  if (typeof template === "string") throw new Error(template)
  const filled = template.fill({ ...values, ...change })
  if (filled === undefined) throw new Error("cannot be filled")
  return Effect.runPromise(Effect.gen(function* () {
    const web = yield* HttpClientRequest.toWeb(filled)
    const body = yield* Effect.promise(() => web.text())
    return { line: `${web.method} ${web.url} ${body}`, url: new URL(web.url), body, headers: web.headers }
  }))
}

const nasty = [
  `a&admin=1`,
  `a=b;c`,
  `"}, "is_superuser": true, {"`,
  `' OR 1=1 --`,
  `a/../../admin`,
  `a?x=1#y`,
  `a\\b`,
  `a\r\nX-Admin: 1`,
  `%u%P%%`,
  `%2e%2e%2f`,
  `$share/#/+`,
  `ünï \u{1F600} \u{7f}`,
  `a+b c`,
  `@evil.example:80/`,
  `*()!'~`
]

describe("a request to an HTTP service", () => {
  it("the original's three, as a form and in the URL", async () => {
    assert.strictEqual(
      (await sent({ params: "clientid=%c,username=%u,password=%P" })).line,
      "POST http://127.0.0.1:8080/auth clientid=c1&username=bob&password=pw"
    )
    assert.strictEqual(
      (await sent(
        { method: "get", params: "access=%A,username=%u,clientid=%c,ipaddr=%a,topic=%t" },
        {},
        [],
        placesOfAction
      )).line,
      "GET http://127.0.0.1:8080/auth?access=2&username=bob&clientid=c1&ipaddr=10.0.0.7&topic=a%2Fb "
    )
    const json = await sent(
      { method: "json", params: "c=%c,q=%q,r=%r,l=%l,cn=%C,dn=%d,x=a=b%%" },
      {},
      [],
      placesOfAction
    )
    assert.deepStrictEqual(JSON.parse(json.body), {
      c: "c1",
      q: "1",
      r: "false",
      l: "tcp",
      cn: "cn",
      dn: "CN=cn",
      x: "a=b%"
    })
    assert.strictEqual(json.headers.get("content-type"), "application/json")
  })

  it("a value stays where it is put: form, query, JSON, path and header, whatever is in it", async () => {
    for (const value of nasty) {
      const change = { clientId: value, userName: value, password: value }
      const form = await sent({ params: "clientid=%c,username=%u,password=%P" }, change)
      assert.deepStrictEqual([...new URLSearchParams(form.body)], [["clientid", value], ["username", value], [
        "password",
        value
      ]])
      const query = await sent({ method: "get", params: "clientid=%c,username=%u" }, change)
      assert.deepStrictEqual([...query.url.searchParams], [["clientid", value], ["username", value]])
      const json = await sent({ method: "json", params: "clientid=%c,is_superuser=no,username=%u" }, change)
      assert.deepStrictEqual(JSON.parse(json.body), { clientid: value, is_superuser: "no", username: value })
      const url = await sent({ method: "get", url: "http://h/auth/%u/check?c=%c&x=1" }, change)
      assert.strictEqual(url.url.host, "h")
      assert.deepStrictEqual(url.url.pathname.split("/").map(decodeURIComponent), ["", "auth", value, "check"])
      assert.deepStrictEqual([...url.url.searchParams], [["c", value], ["x", "1"]])
      assert.strictEqual(url.url.hash, "")
      const header = await sent({}, change, ["authorization: Bearer t", "x-client: id=%c;u"])
      assert.deepStrictEqual(
        [...header.headers].filter(([name]) => name === "x-admin" || name === "authorization"),
        [["authorization", "Bearer t"]]
      )
      assert.match(header.headers.get("x-client") ?? "", /^id=[\w.~%-]*;u$/)
      assert.strictEqual(decodeURIComponent((header.headers.get("x-client") ?? "").slice(3, -2)), value)
    }
  })

  it("steps in a path lead nowhere", () => {
    const template = parse({ url: "http://h/auth/%c/%u%l" })
    assert.isTrue(typeof template !== "string")
    if (typeof template === "string") return
    for (const step of ["..", "."]) {
      assert.isUndefined(template.fill({ ...values, clientId: step }))
      assert.isUndefined(template.fill({ ...values, userName: step, listener: "" }))
    }
    assert.isUndefined(template.fill({ ...values, userName: ".", listener: "." }))
    assert.isDefined(template.fill({ ...values, clientId: "...", userName: "a" }))
    // Escaped a second time, so it is no step either.
    assert.strictEqual(
      template.fill({ ...values, clientId: "%2e%2e" })?.url,
      "http://h/auth/%252e%252e/bobtcp"
    )
  })

  it("faults, each in one line and without a secret", () => {
    for (
      const [request, headers, fault] of [
        [{ url: "ftp://h/" }, [], /^expected http:/],
        [{ url: "http://%c/auth" }, [], /^expected http:/],
        [{ url: "http://user:secret@h/auth" }, [], /^expected http:/],
        [{ url: "http://h:99999/" }, [], /^expected http:/],
        [{ url: "http://h/#x" }, [], /^expected http:/],
        [{ url: "http://h/a/../b" }, [], /step/],
        [{ url: "http://h/%t" }, [], /^%t is not known here$/],
        [{ url: "http://h/%z" }, [], /^unknown place %z; there are %c, %u, %P/],
        [{ params: "a=%x" }, [], /^unknown place %x/],
        [{ params: "a=%" }, [], /^unknown place %;/],
        [{ params: "novalue" }, [], /^expected parameters as in name=%u,other=%c, got "novalue"$/],
        [{}, ["authorization secret"], /^header 1: expected "name: value"$/],
        [{}, ["a: b", "x: secret\r\ny: z"], /^header 2: expected "name: value"$/],
        [{}, ["a: %t"], /^header 1: %t is not known here$/]
      ] as const
    ) {
      const parsed = parse(request, headers)
      assert.isString(parsed)
      assert.match(String(parsed), fault)
      assert.notInclude(String(parsed), "secret")
    }
  })

  it("the password is known to the link alone; what stands in a URL already escaped stays", async () => {
    assert.strictEqual(parse({ params: "p=%P" }, [], placesOfAction), "%P is not known here")
    assert.strictEqual((await sent({ method: "get", url: "http://h/a%20b/%%c" })).line, "GET http://h/a%20b/%c ")
  })
})
