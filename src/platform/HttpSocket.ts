/**
 * HTTP over a Unix socket file, as web standard requests and responses, by node:http on either runtime. Invariants: the file can be
 * opened by its owner alone; a request's body is never held beyond its bound; the end of the scope removes the file.
 */
import { Data, Effect, type Scope } from "effect"
import { chmodSync, lstatSync, rmSync } from "node:fs"
import { createServer, type IncomingMessage, request as requestHttp, type Server, type ServerResponse } from "node:http"
import { connect } from "node:net"
import { isMainThread } from "node:worker_threads"

/** Windows has named pipes instead, which neither runtime opens by a file's path. */
export const hasSocketFiles = process.platform !== "win32"

export type WebHandler = (request: Request) => Promise<Response>

/** `code` is the system's word for it, as in ECONNREFUSED. */
export class HttpSocketFailed extends Data.TaggedError("HttpSocketFailed")<{
  readonly path: string
  readonly code: string
}> {
  override get message(): string {
    return `${this.path}: ${reasons.get(this.code) ?? this.code}`
  }
}

const reasons: ReadonlyMap<string, string> = new Map([
  ["ENOENT", "there is no such socket"],
  ["ECONNREFUSED", "nobody listens on it"],
  ["EACCES", "permission denied"],
  ["EPERM", "permission denied"],
  ["EADDRINUSE", "somebody listens on it already"],
  ["ENAMETOOLONG", "the path is too long for a socket"],
  ["ENOTDIR", "there is no such directory"],
  ["ENOTSOCK", "it is not a socket"]
])

const maximumBodyBytes = 1024 * 1024
const maximumConnections = 64
const requestMillis = 10_000
/** sun_path: 108 bytes on Linux, 104 elsewhere, with the zero at its end. */
const maximumPathBytes = process.platform === "linux" ? 107 : 103

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error
    ? String(error.code)
    : error instanceof Error
    ? error.message
    : String(error)

/**
 * What is at the path: nothing, a socket that nobody listens on any more, somebody who listens, or a file that is none of ours to touch
 * (which fails).
 */
export const probeSocket = (path: string): Effect.Effect<"nothing" | "stale" | "alive", HttpSocketFailed> =>
  Effect.callback((resume) => {
    if (Buffer.byteLength(path) > maximumPathBytes) {
      return resume(Effect.fail(new HttpSocketFailed({ path, code: "ENAMETOOLONG" })))
    }
    const socket = connect(path)
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed("alive"))
    })
    socket.once("error", (error) => {
      const code = codeOf(error)
      if (code === "ENOENT") return resume(Effect.succeed("nothing"))
      // A file that is no socket refuses the connection just as well, and is somebody's.
      const isLeft = code === "ECONNREFUSED" && isSocket(path)
      if (isLeft) return resume(Effect.succeed("stale"))
      resume(Effect.fail(new HttpSocketFailed({ path, code: code === "ECONNREFUSED" ? "ENOTSOCK" : code })))
    })
    return Effect.sync(() => socket.destroy())
  })

const isSocket = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true

export const removeSocket = (path: string): Effect.Effect<void, HttpSocketFailed> =>
  Effect.try({
    try: () => rmSync(path, { force: true }),
    catch: (error) => new HttpSocketFailed({ path, code: codeOf(error) })
  })

/** Listens until the scope ends. */
export const serveHttpSocket = (
  path: string,
  handler: WebHandler
): Effect.Effect<void, HttpSocketFailed, Scope.Scope> =>
  Effect.asVoid(Effect.acquireRelease(listen(path, handler), (server) =>
    Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    })))

const listen = (path: string, handler: WebHandler): Effect.Effect<Server, HttpSocketFailed> =>
  Effect.callback((resume) => {
    const server = createServer((incoming, outgoing) => void answer(incoming, outgoing, handler))
    server.maxConnections = maximumConnections
    server.requestTimeout = requestMillis
    const failed = (error: unknown) => {
      const code = codeOf(error)
      resume(Effect.fail(new HttpSocketFailed({ path, code: code === "ENOENT" ? "ENOTDIR" : code })))
    }
    server.once("error", failed)
    // From its first moment nobody else can open it: the mask does that (a process has one, which its workers cannot change).
    const mask = isMainThread ? process.umask(0o177) : undefined
    server.listen(path, () => {
      server.off("error", failed)
      server.on("error", () => {})
      chmodSync(path, 0o600)
      resume(Effect.succeed(server))
    })
    if (mask !== undefined) process.umask(mask)
  })

const answer = async (incoming: IncomingMessage, outgoing: ServerResponse, handler: WebHandler): Promise<void> => {
  try {
    const body = await bodyOf(incoming)
    if (body === undefined) {
      outgoing.writeHead(413, { connection: "close" })
      return void outgoing.end()
    }
    const method = incoming.method ?? "GET"
    const response = await handler(
      new Request(`http://localhost${incoming.url ?? "/"}`, {
        method,
        headers: headersOf(incoming),
        ...(method === "GET" || method === "HEAD" || body.length === 0 ? {} : { body })
      })
    )
    outgoing.writeHead(response.status, Object.fromEntries(response.headers))
    outgoing.end(Buffer.from(await response.arrayBuffer()))
  } catch {
    // The peer has gone, or spoke no HTTP that a Request can be made of.
    outgoing.destroy()
  }
}

/** Undefined: larger than it may be. */
const bodyOf = async (incoming: IncomingMessage): Promise<Buffer<ArrayBuffer> | undefined> => {
  const chunks: Array<Buffer> = []
  let bytes = 0
  for await (const chunk of incoming) {
    const part = Buffer.from(chunk)
    bytes += part.length
    if (bytes > maximumBodyBytes) return undefined
    chunks.push(part)
  }
  return Buffer.concat(chunks)
}

const headersOf = (incoming: IncomingMessage): Headers => {
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(", ") : value)
  }
  return headers
}

/** One request over the socket file; only path and query of the URL count. */
export const requestHttpSocket = (
  path: string,
  url: URL,
  request: { readonly method: string; readonly headers: Readonly<Record<string, string>>; readonly body?: Uint8Array }
): Effect.Effect<Response, HttpSocketFailed> =>
  Effect.callback((resume) => {
    const failed = (error: unknown) => resume(Effect.fail(new HttpSocketFailed({ path, code: codeOf(error) })))
    const outgoing = requestHttp({
      socketPath: path,
      path: url.pathname + url.search,
      method: request.method,
      headers: { ...request.headers, host: "localhost", "content-length": request.body?.length ?? 0 },
      agent: false
    }, (incoming) => {
      const chunks: Array<Buffer> = []
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
      incoming.on("error", failed)
      incoming.on("end", () => {
        const status = incoming.statusCode ?? 500
        const empty = status === 204 || status === 304
        resume(Effect.succeed(
          new Response(empty ? null : Buffer.concat(chunks), { status, headers: headersOf(incoming) })
        ))
      })
    })
    outgoing.on("error", failed)
    outgoing.end(request.body)
    return Effect.sync(() => outgoing.destroy())
  })
