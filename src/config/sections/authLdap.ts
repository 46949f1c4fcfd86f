// `[auth_ldap]`: users in a directory. The client's password is tried by a bind, under a name made of a template or found by a search.
import { text, truth } from "../settingCodecs.ts"
import type { Fields } from "../table.ts"
import { backendDefaults, backendFields, type BackendSettings, template } from "./backend.ts"

/** `password`: of bindDn. `tls`: StartTLS, where the address is no ldaps://. */
export interface AuthLdapSettings extends BackendSettings {
  /** "uid=%u,ou=people,dc=example,dc=org"; "" searches. */
  readonly dn: string
  readonly searchBase: string
  /** "(uid=%u)" */
  readonly searchFilter: string
  /** Who searches; "" is nobody. */
  readonly bindDn: string
  /** Of the entry that was found: the user name from then on. "" leaves it as the client wrote it. */
  readonly userNameAttribute: string
  /** The entry of a group whose members are superusers; "" is none. */
  readonly superGroup: string
}

export const authLdapDefaults: AuthLdapSettings = {
  ...backendDefaults,
  dn: "",
  searchBase: "",
  searchFilter: "(uid=%u)",
  bindDn: "",
  userNameAttribute: "uid",
  superGroup: ""
}

const name = text("the name of an entry", (value) => !value.includes("\0"))

export const authLdap: Fields<AuthLdapSettings> = {
  ...backendFields(["ldap", "ldaps", "ldapi"], "ldap://host:389"),
  tls: ["start_tls", truth],
  dn: ["dn", template],
  searchBase: ["search_base", name],
  searchFilter: ["search_filter", template],
  bindDn: ["bind_dn", name],
  userNameAttribute: [
    "user_name_attribute",
    text("the name of an attribute", (value) => /^[A-Za-z0-9;-]*$/.test(value))
  ],
  superGroup: ["super_group", name]
}
