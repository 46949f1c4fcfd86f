// The endpoints of accessApi.ts: each is one question to the node.
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { AdminNode } from "./AdminNode.ts"
import { Api, NotFound } from "./Api.ts"

export const rulesHandlers = (node: AdminNode) =>
  HttpApiBuilder.group(Api, "rules", (handlers) =>
    Effect.succeed(handlers.handleAll({
      list: () => Effect.sync(node.rules.list),
      add: ({ payload }) => node.rules.add(payload),
      remove: ({ params }) =>
        Effect.filterOrFail(
          node.rules.remove(params.number),
          (found) => found,
          () => new NotFound({ message: `there is no rule ${params.number}` })
        ).pipe(Effect.asVoid)
    })))
