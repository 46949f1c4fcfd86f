// What the management API answers when it does not do what was asked.
import { Schema } from "effect"

/** Of what was asked for there is none; the message is for people. */
export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", {
  message: Schema.String
}, { httpApiStatus: 404 }) {}

/** It is there, and what was asked of it cannot be. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  message: Schema.String
}, { httpApiStatus: 409 }) {}
