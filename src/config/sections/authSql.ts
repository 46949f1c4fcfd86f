// `[auth_postgres]` and `[auth_mysql]`: users and rules in a database, by the original's three queries. Used by the link and by the rule
// source of that name.
import type { Fields } from "../table.ts"
import {
  backendDefaults,
  backendFields,
  type BackendSettings,
  clientRulesDefaults,
  clientRulesFields,
  type ClientRulesSettings,
  passwordForm,
  template
} from "./backend.ts"

export interface AuthSqlSettings extends BackendSettings, ClientRulesSettings {
  /** Gives the columns password, and where they are needed salt and username. */
  readonly authQuery: string
  /** As in passwordHash.ts. */
  readonly passwordHash: string
  /** Its first column: 1 or true. "" asks nobody. */
  readonly superQuery: string
  /** Gives allow, ipaddr, username, clientid, access, topic. "" is the original's. */
  readonly aclQuery: string
}

export const authSqlDefaults: AuthSqlSettings = {
  ...backendDefaults,
  authQuery: "select username, password from mqtt_user where username = '%u' limit 1",
  passwordHash: "sha256",
  superQuery: "select is_superuser from mqtt_user where username = '%u' limit 1",
  aclQuery: "",
  ...clientRulesDefaults
}

const queries = {
  authQuery: ["auth_query", template],
  passwordHash: ["password_hash", passwordForm],
  superQuery: ["super_query", template],
  aclQuery: ["acl_query", template]
} as const

export const authPostgres: Fields<AuthSqlSettings> = {
  ...backendFields(["postgres", "postgresql"], "postgres://user@host:5432/database"),
  ...queries,
  ...clientRulesFields
}

export const authMysql: Fields<AuthSqlSettings> = {
  ...backendFields(["mysql", "mariadb"], "mysql://user@host:3306/database"),
  ...queries,
  ...clientRulesFields
}
