// `[auth_client_id_file]` and `[auth_password_file]`: files of those who may come in.
import type { Fields } from "../table.ts"
import { choice, text } from "../settingCodecs.ts"

export interface AuthClientIdFileSettings {
  /** The original's clients.config; "" is none. */
  readonly path: string
  /** What a client id comes to that is not there. */
  readonly unknown: "ignore" | "deny"
}

export interface AuthPasswordFileSettings {
  /** As mosquitto_passwd and `emqttd passwd` write it; "" is none. */
  readonly path: string
}

export const authClientIdFileDefaults: AuthClientIdFileSettings = { path: "", unknown: "ignore" }
export const authPasswordFileDefaults: AuthPasswordFileSettings = { path: "" }

const path = text("a path", (value) => !value.includes("\0"))

export const authClientIdFile: Fields<AuthClientIdFileSettings> = {
  path: ["path", path],
  unknown: ["unknown", choice(["ignore", "deny"])]
}

export const authPasswordFile: Fields<AuthPasswordFileSettings> = { path: ["path", path] }
