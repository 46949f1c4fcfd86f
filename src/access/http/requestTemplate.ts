// What an HTTP service is asked: URL, method, parameters and headers with places for what is known of a client (the original's %u, %c, %P,
// %a, %t, %A and some more). Pure. Invariant: a value is a value, whatever is in it: it never ends its place in a URL, a form, a JSON
// text or a header, never leads to another host or path, and `%` in it is no place.
import { HttpClientRequest } from "effect/http"

/** Everything a template may name; "" where there is none. */
export interface RequestValues {
  readonly clientId: string
  readonly userName: string
  readonly password: string
  readonly address: string
  readonly listener: string
  readonly certificateName: string
  readonly certificateSubject: string
  readonly topic: string
  /** The original's: 1 is subscribe, 2 is publish. */
  readonly access: string
  readonly qos: string
  /** "true" or "false". */
  readonly retain: string
}

const places: ReadonlyMap<string, keyof RequestValues> = new Map<string, keyof RequestValues>([
  ["c", "clientId"],
  ["u", "userName"],
  ["P", "password"],
  ["a", "address"],
  ["l", "listener"],
  ["C", "certificateName"],
  ["d", "certificateSubject"],
  ["t", "topic"],
  ["A", "access"],
  ["q", "qos"],
  ["r", "retain"]
])

/** Of a client that comes in. */
export const placesOfConnect = "cuPalCd"
/** Of a PUBLISH or SUBSCRIBE: nobody keeps a password that long. */
export const placesOfAction = "cualCdtAqr"

export interface RequestSettings {
  readonly url: string
  readonly method: "post" | "get" | "json"
  /** "clientid=%c,username=%u". */
  readonly params: string
}

type Piece = string | { readonly value: keyof RequestValues }
type Text = ReadonlyArray<Piece>

export class RequestTemplate {
  private readonly method: RequestSettings["method"]
  private readonly origin: string
  private readonly path: Text
  private readonly params: ReadonlyArray<readonly [name: string, Text]>
  private readonly headers: ReadonlyArray<readonly [name: string, Text]>

  private constructor(
    method: RequestSettings["method"],
    origin: string,
    path: Text,
    params: ReadonlyArray<readonly [string, Text]>,
    headers: ReadonlyArray<readonly [string, Text]>
  ) {
    this.method = method
    this.origin = origin
    this.path = path
    this.params = params
    this.headers = headers
  }

  /** `headers`: "name: value". A text: what is wrong, in one line without secrets. */
  static parse(
    { method, params, url }: RequestSettings,
    headers: ReadonlyArray<string>,
    allowed: string
  ): RequestTemplate | string {
    const [, origin, rest = ""] = /^(https?:\/\/[^/?#%@\\\s]+)([/?][^#\\\s]*)?$/i.exec(url) ?? []
    if (origin === undefined || !URL.canParse(origin)) {
      return "expected http:// or https://, a host without a place or a user in it, and a path"
    }
    if (isStep(rest)) return "the path has a step in it (. or ..)"
    const path = parseText(rest, allowed, true)
    if (typeof path === "string") return path
    const pairs: Array<readonly [string, Text]> = []
    for (const pair of params.split(",").map((one) => one.trim()).filter((one) => one !== "")) {
      const [, name, value = ""] = /^([^=]+)=(.*)$/s.exec(pair) ?? []
      if (name === undefined) return `expected parameters as in name=%u,other=%c, got ${JSON.stringify(pair)}`
      const text = parseText(value, allowed, false)
      if (typeof text === "string") return text
      pairs.push([name.trim(), text])
    }
    const fields: Array<readonly [string, Text]> = []
    for (const [index, header] of headers.entries()) {
      const [, name, value = ""] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([\x20-\x7e\t]*)$/.exec(header) ?? []
      if (name === undefined) return `header ${index + 1}: expected "name: value"`
      const text = parseText(value, allowed, false)
      if (typeof text === "string") return `header ${index + 1}: ${text}`
      fields.push([name, text])
    }
    return new RequestTemplate(method, origin, path, pairs, fields)
  }

  uses(value: keyof RequestValues): boolean {
    const inText = (text: Text) => text.some((piece) => typeof piece !== "string" && piece.value === value)
    return inText(this.path) || this.params.some(([, text]) => inText(text)) ||
      this.headers.some(([, text]) => inText(text))
  }

  /** Undefined: a value would be a step up or on the spot in the path ("..", "."), which no escaping prevents. */
  fill(values: RequestValues): HttpClientRequest.HttpClientRequest | undefined {
    const path = put(this.path, values, inUrl)
    if (isStep(path)) return undefined
    const url = this.origin + path
    const params = this.params.map(([name, text]) => [name, put(text, values, asItIs)] as const)
    // What is no plain character stands there as in a URL: no value ends its line.
    const headers = this.headers.map(([name, text]) => [name, put(text, values, inUrl)] as const)
    const request = this.method === "get"
      ? HttpClientRequest.setUrlParams(HttpClientRequest.get(url), params)
      : this.method === "post"
      ? HttpClientRequest.bodyUrlParams(HttpClientRequest.post(url), params)
      : HttpClientRequest.bodyJsonUnsafe(HttpClientRequest.post(url), Object.fromEntries(params))
    return HttpClientRequest.setHeaders(request, headers)
  }
}

/** `%%` is a percent sign; in a URL `%20` stays what it is. */
const parseText = (text: string, allowed: string, isUrl: boolean): Text | string => {
  const pieces: Array<Piece> = []
  let plain = ""
  for (let i = 0; i < text.length; i++) {
    const next = text[i + 1] ?? ""
    if (text[i] !== "%") plain += text[i]
    else if (places.has(next)) {
      const value = places.get(next)
      if (value === undefined || !allowed.includes(next)) return `%${next} is not known here`
      if (plain !== "") pieces.push(plain)
      plain = ""
      pieces.push({ value })
      i++
    } else if (next === "%") {
      plain += "%"
      i++
    } else if (isUrl && /^[0-9a-f]{2}$/i.test(text.slice(i + 1, i + 3))) plain += "%"
    else {return `unknown place %${next}; there are ${
        [...allowed].map((letter) => `%${letter}`).join(", ")
      }; %% is a percent sign`}
  }
  if (plain !== "") pieces.push(plain)
  return pieces
}

const put = (text: Text, values: RequestValues, escape: (value: string) => string): string => {
  let whole = ""
  for (const piece of text) whole += typeof piece === "string" ? piece : escape(values[piece.value])
  return whole
}

const asItIs = (value: string): string => value

const inUrl = (value: string): string =>
  encodeURIComponent(value.toWellFormed()).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`
  )

/** A URL's path is tidied up by whoever reads it. */
const isStep = (path: string): boolean =>
  (path.split("?", 1)[0] ?? "").split("/").some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment))
