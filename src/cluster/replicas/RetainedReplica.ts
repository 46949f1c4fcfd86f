// Retained messages on every node: a Replica whose keys are topics. The retainer sees it as RetainedReplicas. Invariant: what came from another node is not taken
// for a change of this one.
import { Message } from "../../mqtt/Message.ts"
import type { TopicTable } from "../../mqtt/TopicTable.ts"
import type { RetainedReplicas } from "../../retain/RetainedReplicas.ts"
import { contentOf, messageOf } from "../../store/storedMessage.ts"
import { FrameKind } from "../Bus.ts"
import { Replica, type ReplicaOptions } from "./Replica.ts"

/** Of the store: a record a topic. */
export const retainedStampKind = "cluster_retained"

/** The node's own Retainer. */
export interface LocalRetainer {
  get(topic: string): Message | undefined
  /** False: it takes nothing now. */
  store(message: Message): boolean
}

export type RetainedReplicaOptions =
  & Omit<ReplicaOptions<Message>, "codec" | "frames" | "get" | "stampKind" | "take">
  & { readonly retainer: LocalRetainer; readonly topics: TopicTable }

export class RetainedReplica extends Replica<Message> implements RetainedReplicas {
  /** What the retainer is being given of another node. */
  private incoming: Message | undefined

  constructor(options: RetainedReplicaOptions) {
    const { retainer, topics } = options
    super({
      ...options,
      frames: {
        delta: FrameKind.RetainedDelta,
        digest: FrameKind.RetainedDigest,
        request: FrameKind.RetainedRequest
      },
      stampKind: retainedStampKind,
      get: (topic) => retainer.get(topic),
      take: (topic, message) => {
        this.incoming = message ?? deletion(topic, options.now())
        const taken = retainer.store(this.incoming)
        this.incoming = undefined
        return taken
      },
      codec: {
        write: (to, message, now) => {
          const { expiresAt, packet, publisher, receivedAt, shape } = contentOf(message)
          to.uint32(shape).text(publisher).float64(now - receivedAt)
          to.float64(expiresAt === 0 ? Infinity : expiresAt - now).data(packet)
        },
        read: (from, now) => {
          const shape = from.uint32()
          const publisher = from.text()
          const receivedAt = now - from.float64()
          const left = from.float64()
          const expiresAt = left === Infinity ? 0 : Math.max(1, now + left)
          return messageOf({ packet: from.data(), shape, publisher, receivedAt, expiresAt }, topics)
        }
      }
    })
  }

  taken(message: Message): void {
    if (message === this.incoming) return
    // The bytes of a chunk that goes on: it waits for a turn.
    message.detach()
    this.changed(message.topic, message.payloadLength === 0 ? null : message)
  }
}

const deletion = (topic: string, now: number): Message =>
  Message.make({ topic, payload: new Uint8Array(0), qos: 0, retain: true, publisher: "", properties: null, now })
