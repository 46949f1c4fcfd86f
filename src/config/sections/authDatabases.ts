// The tables of the databases that know users and rules: one face for the settings.
import { keysOf, optionalTable } from "../table.ts"
import { authLdap, authLdapDefaults, type AuthLdapSettings } from "./authLdap.ts"
import { authRedis, authRedisDefaults, type AuthRedisSettings } from "./authRedis.ts"
import { authMysql, authPostgres, authSqlDefaults, type AuthSqlSettings } from "./authSql.ts"

export interface AuthDatabases {
  readonly auth_postgres: AuthSqlSettings
  readonly auth_mysql: AuthSqlSettings
  readonly auth_redis: AuthRedisSettings
  readonly auth_ldap: AuthLdapSettings
}

export const authDatabasesDefaults: AuthDatabases = {
  auth_postgres: authSqlDefaults,
  auth_mysql: authSqlDefaults,
  auth_redis: authRedisDefaults,
  auth_ldap: authLdapDefaults
}

export const authDatabasesKeys: ReadonlyArray<readonly [table: string, keys: ReadonlyArray<string>]> = [
  ["auth_postgres", keysOf(authPostgres)],
  ["auth_mysql", keysOf(authMysql)],
  ["auth_redis", keysOf(authRedis)],
  ["auth_ldap", keysOf(authLdap)]
]

export const authDatabasesTables = {
  auth_postgres: optionalTable(authPostgres, authDatabasesDefaults.auth_postgres),
  auth_mysql: optionalTable(authMysql, authDatabasesDefaults.auth_mysql),
  auth_redis: optionalTable(authRedis, authDatabasesDefaults.auth_redis),
  auth_ldap: optionalTable(authLdap, authDatabasesDefaults.auth_ldap)
}
