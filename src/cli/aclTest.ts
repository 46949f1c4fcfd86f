// `emqttd acl test`: asks the rules of a configuration what the broker would ask them, and says which one decides.
import { Console, Data, Effect } from "effect"
import { AddressRange } from "../access/rules/AddressRange.ts"
import { awaited } from "../access/rules/AskedRules.ts"
import { brokersOwn } from "../access/rules/Authorization.ts"
import { Permissions } from "../access/rules/Permissions.ts"
import type { Action } from "../access/rules/Rule.ts"
import { rulesReaderAlone } from "../app/accessRules.ts"
import type { LoadedSettings } from "../config/loadSettings.ts"
import { isSystemTopic, parseSharedFilter, validateTopicFilter, validateTopicName } from "../mqtt/Topic.ts"
import { readKeptRules } from "./keptRules.ts"
import { ExitCode, exitWith } from "./Exit.ts"

export interface Question {
  readonly client: string
  readonly user: string | undefined
  readonly address: string
  readonly listener: string
  readonly certificateName: string | undefined
  readonly qos: number
  readonly retain: boolean
  readonly action: Action
  readonly topic: string
}

/** Asked in a way that no client could. */
export class QuestionInvalid extends Data.TaggedError("QuestionInvalid")<{ readonly fault: string }> {}

const faultOf = ({ action, address, topic }: Question): string | undefined => {
  if (AddressRange.parse(address) === undefined || address.includes("/")) return `--address ${address}: no IP address`
  if (action === "publish") return validateTopicName(topic) ? undefined : `${topic}: no topic name`
  const parsed = parseSharedFilter(topic)
  return parsed !== undefined && validateTopicFilter(parsed.filter) ? undefined : `${topic}: no topic filter`
}

export const aclTest = Effect.fnUntraced(function* ({ settings }: LoadedSettings, question: Question) {
  const fault = faultOf(question)
  if (fault !== undefined) return yield* new QuestionInvalid({ fault })
  const readRules = yield* rulesReaderAlone
  const authorization = yield* readRules(settings).pipe(
    Effect.catchTag("RulesInvalid", ({ exitCode, faults }) => exitWith(exitCode, faults))
  )
  const kept = yield* Effect.catch(
    readKeptRules(settings),
    ({ message }) => exitWith(ExitCode.InputOutput, [`emqttd: ${message}`])
  )
  const permissions = new Permissions({ authorization: authorization.replacing(kept) }, {
    clientId: question.client,
    userName: question.user,
    address: question.address,
    listener: question.listener,
    certificateName: question.certificateName,
    superuser: false
  }, 0)
  const ask = () =>
    question.action === "publish" && isSystemTopic(question.topic)
      ? brokersOwn
      : question.action === "publish"
      ? permissions.publish(question.topic, question.qos, question.retain)
      : permissions.subscribe(question.topic, question.qos)
  let decision = ask()
  while (decision === awaited) {
    yield* Effect.callback<void>((resume) => Effect.sync(permissions.fetch(() => resume(Effect.void))))
    decision = ask()
  }
  const { allowed, by } = decision
  yield* Console.log(`${allowed ? "allow" : "deny"}: ${by}`)
  if (!allowed) return yield* exitWith(ExitCode.Denied, [])
}, Effect.scoped)
