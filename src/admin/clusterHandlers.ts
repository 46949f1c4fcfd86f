// The endpoints of clusterApi.ts: each is one question to the node. A node without a cluster says so.
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { AdminCluster, AdminNode } from "./AdminNode.ts"
import { Api, Refused } from "./Api.ts"

const none = new Refused({
  message: "this node is in no cluster: start it with --cluster or --cluster-listen, or with a table [cluster]"
})

export const clusterHandlers = ({ cluster }: AdminNode) => {
  const asked = <A>(question: (cluster: AdminCluster) => Effect.Effect<A, Refused>): Effect.Effect<A, Refused> =>
    cluster === undefined ? Effect.fail(none) : question(cluster)
  return HttpApiBuilder.group(Api, "cluster", (handlers) =>
    Effect.succeed(handlers.handleAll({
      status: () => asked(({ status }) => Effect.sync(status)),
      join: ({ payload }) => asked(({ join }) => join(payload.address)),
      leave: ({ payload }) => asked(({ leave }) => leave(payload.not_to)),
      remove: ({ params }) => asked(({ remove }) => remove(params.name))
    })))
}
