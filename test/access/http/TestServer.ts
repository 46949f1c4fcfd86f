// An HTTP server of a test: what it is to answer can be changed, what it was asked is kept. A real one, on loopback.
import { Effect, type Scope } from "effect"
import * as http from "node:http"
import * as https from "node:https"

export interface Asked {
  readonly method: string
  /** Path and query, as they came. */
  readonly url: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

export interface Reply {
  readonly status?: number
  readonly type?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Nothing is answered until this is there. */
  readonly after?: Promise<unknown>
}

export class TestServer {
  readonly asked: Array<Asked> = []
  reply: (asked: Asked) => Reply = () => ({})
  /** Requests that have not been answered. */
  open = 0
  openAtMost = 0
  readonly url: string
  private readonly heard: Array<() => void> = []

  constructor(url: string) {
    this.url = url
  }

  static readonly start = (tls?: https.ServerOptions, port = 0): Effect.Effect<TestServer, never, Scope.Scope> =>
    Effect.map(
      Effect.acquireRelease(
        Effect.promise(async () => {
          let server: TestServer | undefined
          const listen: http.RequestListener = (request, response) => {
            const chunks: Array<Buffer> = []
            request.on("data", (chunk: Buffer) => chunks.push(chunk))
            request.on("end", () => {
              const { headers, method = "", url = "" } = request
              server?.onRequest({ method, url, headers, body: Buffer.concat(chunks).toString("utf8") }, response)
            })
          }
          const door = tls === undefined ? http.createServer(listen) : https.createServer(tls, listen)
          await new Promise<void>((resolve) => door.listen(port, "127.0.0.1", resolve))
          const address = door.address()
          const own = typeof address === "object" && address !== null ? address.port : 0
          server = new TestServer(`http${tls === undefined ? "" : "s"}://127.0.0.1:${own}`)
          return { door, server }
        }),
        ({ door }) =>
          Effect.promise(() =>
            new Promise<void>((resolve) => {
              door.close(() => resolve())
              door.closeAllConnections()
            })
          )
      ),
      ({ server }) => server
    )

  private onRequest(asked: Asked, response: http.ServerResponse): void {
    this.asked.push(asked)
    this.open++
    this.openAtMost = Math.max(this.openAtMost, this.open)
    for (const told of this.heard.splice(0)) told()
    const { after, body = "", headers = {}, status = 200, type } = this.reply(asked)
    const answer = () => {
      this.open--
      response.writeHead(status, { ...headers, ...type === undefined ? {} : { "content-type": type } })
      response.end(body)
    }
    if (after === undefined) answer()
    else void after.then(answer)
  }

  /** When `count` requests have come, from the start on. */
  readonly askedTimes = (count: number): Effect.Effect<void> =>
    Effect.promise(async () => {
      while (this.asked.length < count) await new Promise<void>((resolve) => this.heard.push(resolve))
    })
}
