// The parts of the broker that sessions and connections use, wired once by the app and handed down at construction.
import type { AuthenticationInForce } from "../access/authentication/Authentication.ts"
import type { Bans } from "../access/bans/Bans.ts"
import type { Scram } from "../access/scram/Scram.ts"
import type { InForce } from "../access/rules/Authorization.ts"
import type { Settings } from "../config/Settings.ts"
import { zonedSettings } from "../config/zonedSettings.ts"
import type { Counters } from "../metrics/Counters.ts"
import type { EventLog } from "../metrics/EventLog.ts"
import type { Message } from "../mqtt/Message.ts"
import type { PublishLimits } from "../mqtt/PublishDecoder.ts"
import type { TopicTable } from "../mqtt/TopicTable.ts"
import type { Scheduler } from "../otp/Scheduler.ts"
import type { TimerWheel } from "../otp/TimerWheel.ts"
import type { Retainer } from "../retain/Retainer.ts"
import type { Router } from "../router/Router.ts"
import type { Journal } from "../store/Journal.ts"
import type { StoreReads } from "../store/StoreReads.ts"
import type { Presence } from "./Presence.ts"
import { type Arena, Outlet, type OutletSocket } from "./Outlet.ts"

/** Something that asked the wheel to be told; it only wakes its actor. */
export interface Timed {
  onTimer(): void
}

export interface Services {
  /** Whose limits are in the settings; "": the node's. */
  readonly zone: string
  readonly settings: Settings
  readonly rules: InForce
  readonly authentication: AuthenticationInForce
  readonly bans: Bans
  readonly scram: Scram
  readonly scheduler: Scheduler
  readonly wheel: TimerWheel<Timed>
  readonly arena: Arena
  readonly topics: TopicTable
  readonly publishLimits: PublishLimits
  readonly router: Router
  readonly retainer: Retainer
  /** Where durable state goes, and where it is read back. */
  readonly journal: Journal
  readonly reads: StoreReads
  readonly counters: Counters
  readonly log: EventLog
  /** Null: nobody is told of clients that come and go. */
  readonly presence: Presence | null
}

export const publishLimitsOf = ({ connection }: Settings): PublishLimits => ({
  maximumTopicAlias: connection.topicAliasMaximum,
  maximumTopicLevels: connection.maxTopicLevels,
  maximumTopicLength: connection.maxTopicLength
})

/** `settings`: of the node. */
export const zonedServices = (services: Services, settings: Settings, zone: string): Services => {
  const zoned = zonedSettings(settings, zone)
  return { ...services, zone, settings: zoned, publishLimits: publishLimitsOf(zoned) }
}

export const outletFor = (socket: OutletSocket, { arena, counters, scheduler, settings }: Services): Outlet =>
  new Outlet(socket, scheduler, arena, counters, settings.connection.writeHighWatermarkBytes)

/** Hands a message on to everybody who is owed it; returns how many sessions got it. */
export const publish = (services: Services, message: Message): number => {
  // [MQTT-3.3.1-12] [MQTT5-3.3.1-8] without RETAIN nothing is stored, removed or replaced
  if (message.retain && !services.retainer.store(message)) services.counters.retained_rejected_total++
  const receivers = services.router.publish(message)
  if (receivers === 0) services.counters.messages_no_subscribers_total++
  return receivers
}
