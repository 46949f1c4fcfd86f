// What `fetch` has to be told to trust a certificate authority of the operator's. Bun takes it with each request, Deno as a client of its own
// that is made once. On Bun the authority stands in place of the system's, on Deno beside them.

interface DenoHttp {
  readonly createHttpClient: (options: { readonly caCerts: ReadonlyArray<string> }) => { readonly close: () => void }
}

const denoOf = (world: object): DenoHttp | undefined =>
  "Deno" in world && typeof world.Deno === "object" && world.Deno !== null && "createHttpClient" in world.Deno
    ? world.Deno as DenoHttp // Deno's own, of which the types are not loaded here
    : undefined

export interface Trusting {
  /** For every `fetch`. */
  readonly init: RequestInit
  /** No `fetch` with it is under way or to come. */
  readonly close: () => void
}

/** `pem` undefined: the system's authorities. Throws where the PEM is none. */
export const fetchTrusting = (pem: string | undefined): Trusting => {
  if (pem === undefined) return { init: {}, close: () => {} }
  const client = denoOf(globalThis)?.createHttpClient({ caCerts: [pem] })
  const init: object = client === undefined ? { tls: { ca: pem } } : { client }
  return { init, close: () => client?.close() }
}
