// The members of one shared group on other nodes, as the group here sees them. Implemented by the cluster.
import type { Message } from "../mqtt/Message.ts"
import type { Route } from "./Route.ts"

/** A group that has some asks it for every message. */
export interface GroupElsewhere {
  /** The member of this node that gets the message; undefined: nobody, or a member elsewhere, to whom `RemoteRoutes.publish` hands it. */
  pick(message: Message): Route | undefined
  /** True: a connected member elsewhere gets the message, which a member here has not acknowledged. */
  redispatch(message: Message): boolean
}
