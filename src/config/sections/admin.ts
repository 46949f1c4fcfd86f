// `[admin]`: how the administrator of this node reaches it.
import type { Fields } from "../table.ts"
import { text } from "../settingCodecs.ts"

export interface AdminSettings {
  /** Path of the socket file of the management API, relative to the data directory; "" for none. */
  readonly socket: string
}

export const adminDefaults: AdminSettings = { socket: "emqttd.sock" }

export const admin: Fields<AdminSettings> = {
  socket: ["socket", text(`the path of a socket file, or "" for none`, (value) => !value.includes("\0"))]
}
