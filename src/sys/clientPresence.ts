// Messages about clients that come and go: `clients/<client id>/connected` and `…/disconnected` below the node's prefix, in the original's
// JSON with what EMQX 5 adds to it. Called in the turn of the client's connection, which does no more than to leave a task: a defect here costs
// no connection. Invariant: where nobody has subscribed to it nothing is made but a topic, and where nobody has subscribed to anything under
// `$SYS` nothing at all.
import { Buffer } from "node:buffer"
import { Message } from "../mqtt/Message.ts"
import type { QoS } from "../mqtt/Packet.ts"
import { levelsOf, validateTopicName } from "../mqtt/Topic.ts"
import { TopicName } from "../mqtt/TopicTable.ts"
import type { Scheduler } from "../otp/Scheduler.ts"
import type { Router } from "../router/Router.ts"
import type { Presence, PresentClient, PresentTerms } from "../session/Presence.ts"

export interface ClientPresenceOptions {
  readonly router: Router
  /** `$SYS/brokers/<node>/` */
  readonly prefix: string
  readonly qos: QoS
  readonly scheduler: Scheduler
}

export class ClientPresence implements Presence {
  private readonly options: ClientPresenceOptions

  constructor(options: ClientPresenceOptions) {
    this.options = options
  }

  get isWanted(): boolean {
    return this.options.router.wantsSystem
  }

  connected(client: PresentClient, terms: PresentTerms): void {
    this.leave(client, "connected", (now) => connectedJson(client, terms, now))
  }

  disconnected(client: PresentClient, reason: string): void {
    this.leave(client, "disconnected", (now) => disconnectedJson(client, reason, now))
  }

  private leave({ clientId }: PresentClient, event: string, payload: (now: number) => string): void {
    const { scheduler } = this.options
    const at = scheduler.now
    scheduler.enqueue({ run: () => this.say(clientId, event, at, payload) })
  }

  private say(clientId: string, event: string, now: number, payload: (now: number) => string): void {
    const { prefix, qos, router } = this.options
    const topic = presenceTopic(prefix, clientId, event)
    if (topic === undefined) return
    // Made anew: the tables of topics that many publish to are not for names that come once.
    const name = new TopicName(topic, levelsOf(topic))
    if (!router.concerns(name)) return
    router.remote.publisherIsDurable = false
    router.publish(Message.make({
      topic: name,
      payload: Buffer.from(payload(now)),
      qos,
      retain: false,
      publisher: "",
      properties: null,
      now
    }))
  }
}

/** Wildcards in a client id are written as in a URL; a slash stays, as in the original. Undefined: longer than a topic may be. */
export const presenceTopic = (prefix: string, clientId: string, event: string): string | undefined => {
  const id = /[+#]/.test(clientId) ? clientId.replaceAll("+", "%2B").replaceAll("#", "%23") : clientId
  const topic = `${prefix}clients/${id}/${event}`
  return validateTopicName(topic) ? topic : undefined
}

const whoItIs = ({ clientId, peer, userName }: PresentClient) => ({
  clientid: clientId,
  username: userName ?? null,
  ipaddress: peer.slice(0, peer.lastIndexOf(":"))
})

export const connectedJson = (client: PresentClient, terms: PresentTerms, now: number): string =>
  JSON.stringify({
    ...whoItIs(client),
    // The original's: whether it is to be kept.
    session: !terms.cleanStart,
    protocol: client.version,
    connack: 0,
    ts: Math.floor(now / 1000),
    clean_start: terms.cleanStart,
    keepalive: terms.keepAliveSeconds,
    expiry_interval: Number.isFinite(terms.expiryMillis) ? Math.floor(terms.expiryMillis / 1000) : 0xffff_ffff,
    proto_name: client.version === 3 ? "MQIsdp" : "MQTT",
    proto_ver: client.version,
    connected_at: now
  })

export const disconnectedJson = (client: PresentClient, reason: string, now: number): string =>
  JSON.stringify({
    ...whoItIs(client),
    reason,
    ts: Math.floor(now / 1000),
    proto_ver: client.version,
    disconnected_at: now
  })
