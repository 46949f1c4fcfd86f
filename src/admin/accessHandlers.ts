// The endpoints of accessApi.ts: each is one question to the node.
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { AdminNode } from "./AdminNode.ts"
import { Api, NotFound, type Refused } from "./Api.ts"

const foundUser = (name: string, changed: Effect.Effect<boolean, Refused>): Effect.Effect<void, NotFound | Refused> =>
  Effect.filterOrFail(changed, (found) => found, () => new NotFound({ message: `there is no user ${name}` })).pipe(
    Effect.asVoid
  )

export const usersHandlers = (node: AdminNode, within: (asked: number | undefined) => number) =>
  HttpApiBuilder.group(Api, "users", (handlers) =>
    Effect.succeed(handlers.handleAll({
      list: ({ query }) => Effect.sync(() => node.users.list(query.after ?? "", within(query.limit))),
      add: ({ payload }) => node.users.add(payload),
      password: ({ params, payload }) =>
        foundUser(params.name, node.users.setPassword(params.name, payload.password, payload.kick === true)),
      remove: ({ params, query }) => foundUser(params.name, node.users.remove(params.name, query.kick === "true"))
    })))

export const rulesHandlers = (node: AdminNode) =>
  HttpApiBuilder.group(Api, "rules", (handlers) =>
    Effect.succeed(handlers.handleAll({
      list: () => Effect.sync(node.rules.list),
      add: ({ payload }) => node.rules.add(payload),
      reload: () => node.rules.reload,
      remove: ({ params }) =>
        Effect.filterOrFail(
          node.rules.remove(params.number),
          (found) => found,
          () => new NotFound({ message: `there is no rule ${params.number}` })
        ).pipe(Effect.asVoid)
    })))
