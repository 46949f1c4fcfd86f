// `[auth_certificate]`: which client certificates let a client in by themselves.
import { text, textList } from "../settingCodecs.ts"
import type { Fields } from "../table.ts"

export interface AuthCertificateSettings {
  /** Names of listeners; empty: all that verify client certificates. */
  readonly listeners: ReadonlyArray<string>
  /** The whole common name; "" is any. */
  readonly commonNameRegex: string
}

export const authCertificateDefaults: AuthCertificateSettings = { listeners: [], commonNameRegex: "" }

export const authCertificate: Fields<AuthCertificateSettings> = {
  listeners: ["listeners", textList("names of listeners", (value) => value !== "")],
  commonNameRegex: ["common_name_regex", text("a regular expression", (value) => !value.includes("\0"))]
}
