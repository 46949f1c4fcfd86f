// The management API as a web handler: each endpoint is one question to the node. Loaded at the first request, so that neither start-up nor
// the memory of a broker that nobody asks pays for HTTP.
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import type { ListenerFailed } from "../listener/transport.ts"
import type { WebHandler } from "../platform/HttpSocket.ts"
import { rulesHandlers, usersHandlers } from "./accessHandlers.ts"
import { clusterHandlers } from "./clusterHandlers.ts"
import type { AdminNode } from "./AdminNode.ts"
import { Api, NotFound, Refused } from "./Api.ts"

const defaultLimit = 1_000
const maximumLimit = 10_000
const defaultTreeLimit = 10

const within = (asked: number | undefined, otherwise: number): number =>
  Math.max(0, Math.min(Math.floor(asked ?? otherwise), maximumLimit))

export const webHandler = (node: AdminNode): WebHandler => {
  const nodeGroup = HttpApiBuilder.group(Api, "node", (handlers) =>
    Effect.succeed(handlers.handleAll({
      status: () => Effect.sync(node.status),
      tree: ({ query }) => Effect.sync(() => node.tree(within(query.limit, defaultTreeLimit))),
      counters: () => Effect.sync(node.counters),
      reload: () => node.reload
    })))
  const change = (
    name: string,
    make: (name: string) => Effect.Effect<boolean, ListenerFailed>,
    already: string
  ): Effect.Effect<void, NotFound | Refused> =>
    Effect.gen(function* () {
      if (!node.listeners().some((one) => one.name === name)) {
        return yield* new NotFound({ message: `there is no listener ${name}` })
      }
      const changed = yield* Effect.mapError(make(name), ({ message }) => new Refused({ message }))
      if (!changed) return yield* new Refused({ message: `listener ${name} ${already}` })
    })
  const listeners = HttpApiBuilder.group(Api, "listeners", (handlers) =>
    Effect.succeed(handlers.handleAll({
      list: () => Effect.sync(node.listeners),
      start: ({ params }) => change(params.name, node.startListener, "is running already"),
      stop: ({ params }) => change(params.name, node.stopListener, "is not running")
    })))
  const clients = HttpApiBuilder.group(Api, "clients", (handlers) =>
    Effect.succeed(handlers.handleAll({
      list: ({ query }) => Effect.sync(() => node.clients(within(query.limit, defaultLimit))),
      kick: ({ params }) =>
        Effect.suspend(() =>
          node.kick(params.clientId)
            ? Effect.void
            : Effect.fail(new NotFound({ message: `no client ${params.clientId} is connected` }))
        )
    })))
  const bans = HttpApiBuilder.group(Api, "bans", (handlers) =>
    Effect.succeed(handlers.handleAll({
      list: ({ query }) => Effect.sync(() => node.bans(within(query.limit, defaultLimit))),
      add: ({ payload }) => node.ban(payload),
      remove: ({ query: { kind, value } }) =>
        Effect.filterOrFail(
          node.unban(kind, value),
          (found) => found,
          () => new NotFound({ message: `no ban of ${kind} ${value}` })
        ).pipe(Effect.asVoid)
    })))
  const routes = HttpApiBuilder.layer(Api).pipe(
    Layer.provide([
      nodeGroup,
      listeners,
      clients,
      bans,
      usersHandlers(node, (asked) => within(asked, defaultLimit)),
      rulesHandlers(node),
      clusterHandlers(node)
    ]),
    Layer.provide(HttpServer.layerServices)
  )
  return HttpRouter.toWebHandler(routes, { disableLogger: true }).handler
}
