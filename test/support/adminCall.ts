// One request to the management API of a broker in this process, over its socket file.
import { Effect } from "effect"
import * as path from "node:path"
import { requestHttpSocket } from "../../src/platform/HttpSocket.ts"
import type { InnerBroker } from "./innerBroker.ts"

/** `body`: as JSON. */
export const adminCall = async ({ broker }: InnerBroker, method: string, url: string, body?: unknown) => {
  const socket = path.join(broker.services.settings.node.dataDir, "emqttd.sock")
  const sent = body === undefined
    ? { headers: {} }
    : { headers: { "content-type": "application/json" }, body: new TextEncoder().encode(JSON.stringify(body)) }
  const response = await Effect.runPromise(
    requestHttpSocket(socket, new URL(url, "http://localhost"), { method, ...sent })
  )
  const text = await response.text()
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) }
}
