// What a session looks like from below, and what it brings. The declarations stand in two files because a Subscriber takes Routes.
export type { Subscriber } from "./Route.ts"
export type { Subscription } from "./Subscription.ts"
