// The questions of `emqttd ctl bans`.
import { Effect } from "effect"
import type { Ban, BansPage } from "../../admin/Api.ts"
import { parseDuration } from "../../config/Quantity.ts"
import { ExitCode, type ExitWith, exitWith } from "../Exit.ts"
import { print } from "./questions.ts"
import { aligned, plain } from "./render.ts"
import { ask, type Target } from "./session.ts"

type Told = Effect.Effect<void, ExitWith>

const kindOf = { client: "client_id", user: "user_name", address: "address" } as const
type Word = keyof typeof kindOf

const wordOf = { client_id: "client", user_name: "user", address: "address" } as const

const untilText = ({ until }: Ban): string => until === null ? "for ever" : `until ${new Date(until).toISOString()}`

export const banLines = ({ bans, total }: BansPage): ReadonlyArray<string> => [
  ...aligned([
    ["KIND", "VALUE", "ENDS", "BY", "REASON"],
    ...bans.map((ban) => [wordOf[ban.kind], plain(ban.value), untilText(ban), ban.by, plain(ban.reason)])
  ]),
  ...(total > bans.length ? [`${bans.length} of ${total} bans`] : [])
]

export const bansList = (target: Target, limit: number | undefined): Told =>
  Effect.gen(function* () {
    const answer = yield* ask(target, (node) => node.bans.list({ query: { limit } }))
    yield* print(target, answer, banLines)
  })

export const banAdd = (
  target: Target,
  given: { readonly kind: Word; readonly value: string; readonly reason: string; readonly span: string | undefined }
): Told =>
  Effect.gen(function* () {
    const { kind, reason, span, value } = given
    const milliseconds = span === undefined ? Infinity : parseDuration(span)
    if (milliseconds === undefined || milliseconds === 0) {
      return yield* exitWith(ExitCode.Usage, [`emqttd: --for ${span}: expected a duration, as in "30m", "12h" or "7d"`])
    }
    const payload = { kind: kindOf[kind], value, reason, milliseconds: milliseconds === Infinity ? null : milliseconds }
    const ban = yield* ask(target, (node) => node.bans.add({ payload }))
    yield* print(target, ban, () => [`banned: ${kind} ${plain(ban.value)}, ${untilText(ban)}`])
  })

export const banRemove = (target: Target, word: Word, value: string): Told =>
  Effect.gen(function* () {
    const kind = kindOf[word]
    yield* ask(target, (node) => node.bans.remove({ query: { kind, value } }))
    yield* print(target, { removed: { kind, value } }, () => [`no longer banned: ${word} ${plain(value)}`])
  })
