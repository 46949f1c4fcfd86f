// `[auth_redis]`: users and rules in Redis, by the original's three commands. Used by the link and by the rule source of that name.
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

export interface AuthRedisSettings extends BackendSettings, ClientRulesSettings {
  /** Gives the password, or a list of it and the salt. */
  readonly authCmd: string
  /** As in passwordHash.ts. */
  readonly passwordHash: string
  /** Gives 1. "" asks nobody. */
  readonly superCmd: string
  /** Gives a hash of topics. */
  readonly aclCmd: string
}

export const authRedisDefaults: AuthRedisSettings = {
  ...backendDefaults,
  authCmd: "HMGET mqtt_user:%u password",
  passwordHash: "plain",
  superCmd: "HGET mqtt_user:%u is_superuser",
  aclCmd: "HGETALL mqtt_acl:%u",
  ...clientRulesDefaults
}

export const authRedis: Fields<AuthRedisSettings> = {
  ...backendFields(["redis", "rediss"], "redis://host:6379/0"),
  authCmd: ["auth_cmd", template],
  passwordHash: ["password_hash", passwordForm],
  superCmd: ["super_cmd", template],
  aclCmd: ["acl_cmd", template],
  ...clientRulesFields
}
