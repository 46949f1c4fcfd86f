// What a node may be told: plain data, one file a table in `sections/`, decoded and checked (SettingsSchema.ts); read by every
// folder above, changed by nobody after start. Units: durations are milliseconds and end in Millis, MQTT's own seconds end in
// Seconds, sizes are bytes. `Infinity` is "never". Invariant: every key of the file has its default beside its type, and nowhere else.
import { accessDefaults, type AccessSettings } from "./sections/access.ts"
import { adminDefaults, type AdminSettings } from "./sections/admin.ts"
import { authCertificateDefaults, type AuthCertificateSettings } from "./sections/authCertificate.ts"
import { authHttpDefaults, type AuthHttpSettings } from "./sections/authHttp.ts"
import { authJwtDefaults, type AuthJwtSettings } from "./sections/authJwt.ts"
import {
  authScramDefaults,
  type AuthScramSettings,
  authUsersDefaults,
  type AuthUsersSettings
} from "./sections/authUsers.ts"
import {
  authClientIdFileDefaults,
  type AuthClientIdFileSettings,
  authPasswordFileDefaults,
  type AuthPasswordFileSettings
} from "./sections/authFiles.ts"
import { type AuthDatabases, authDatabasesDefaults } from "./sections/authDatabases.ts"
import { authenticationDefaults, type AuthenticationSettings } from "./sections/authentication.ts"
import { authorizationDefaults, type AuthorizationSettings } from "./sections/authorization.ts"
import { clusterDefaults, type ClusterSettings } from "./sections/cluster.ts"
import { bansDefaults, type BansSettings } from "./sections/bans.ts"
import { connectionDefaults, type ConnectionSettings } from "./sections/connection.ts"
import { defaultListener, defaultWebSocketListener, type ListenerSettings } from "./sections/listener.ts"
import { limitsDefaults, type LimitsSettings } from "./sections/limits.ts"
import { logDefaults, type LogSettings } from "./sections/log.ts"
import { nodeDefaults, type NodeSettings } from "./sections/node.ts"
import { overloadDefaults, type OverloadSettings } from "./sections/overload.ts"
import { queueDefaults, type QueueSettings } from "./sections/queue.ts"
import { retainDefaults, type RetainSettings } from "./sections/retain.ts"
import { routerDefaults, type RouterSettings } from "./sections/router.ts"
import { sessionDefaults, type SessionSettings } from "./sections/session.ts"
import { sharedDefaults, type SharedSettings } from "./sections/shared.ts"
import { storeDefaults, type StoreSettings } from "./sections/store.ts"
import { sysDefaults, type SysSettings } from "./sections/sys.ts"
import { willDefaults, type WillSettings } from "./sections/will.ts"
import type { ZoneSettings } from "./sections/zone.ts"

export type { AccessSettings, AnonymousAccess } from "./sections/access.ts"
export type { AdminSettings } from "./sections/admin.ts"
export type { AuthCertificateSettings } from "./sections/authCertificate.ts"
export type { AuthHttpSettings } from "./sections/authHttp.ts"
export type { AuthJwtSettings } from "./sections/authJwt.ts"
export type { AuthScramSettings, AuthUsersSettings } from "./sections/authUsers.ts"
export type { AuthClientIdFileSettings, AuthPasswordFileSettings } from "./sections/authFiles.ts"
export type { AuthLdapSettings } from "./sections/authLdap.ts"
export type { AuthRedisSettings } from "./sections/authRedis.ts"
export type { AuthSqlSettings } from "./sections/authSql.ts"
export type { AuthenticationSettings, LinkType } from "./sections/authentication.ts"
export type { AuthorizationSettings, RuleSource, RuleSourceType } from "./sections/authorization.ts"
export type { ClusterSettings } from "./sections/cluster.ts"
export type { BansSettings } from "./sections/bans.ts"
export type { BackendSettings } from "./sections/backend.ts"
export type { ConnectionSettings } from "./sections/connection.ts"
export type { LimitsSettings } from "./sections/limits.ts"
export type { ListenerSettings, ListenerType } from "./sections/listener.ts"
export type { LogFormat, LogLevel, LogSettings } from "./sections/log.ts"
export type { NodeSettings } from "./sections/node.ts"
export type { OverloadSettings } from "./sections/overload.ts"
export type { QueueSettings, WhenQueueFull } from "./sections/queue.ts"
export type { RetainSettings } from "./sections/retain.ts"
export type { RouterSettings } from "./sections/router.ts"
export type { SessionSettings } from "./sections/session.ts"
export type { SharedSettings, SharedStrategy } from "./sections/shared.ts"
export type { Durability, StoreEngine, StoreSettings } from "./sections/store.ts"
export type { SysSettings } from "./sections/sys.ts"
export type { WillSettings } from "./sections/will.ts"
export type { ZoneSettings } from "./sections/zone.ts"
export { defaultListener, defaultWebSocketListener } from "./sections/listener.ts"
export { logFormats, logLevels } from "./sections/log.ts"

export interface Settings extends AuthDatabases {
  readonly node: NodeSettings
  readonly admin: AdminSettings
  readonly log: LogSettings
  readonly listeners: ReadonlyArray<ListenerSettings>
  readonly zones: ReadonlyArray<ZoneSettings>
  readonly access: AccessSettings
  readonly overload: OverloadSettings
  readonly authentication: AuthenticationSettings
  readonly auth_jwt: AuthJwtSettings
  readonly auth_http: AuthHttpSettings
  readonly auth_certificate: AuthCertificateSettings
  readonly auth_users: AuthUsersSettings
  readonly auth_scram: AuthScramSettings
  readonly auth_client_id_file: AuthClientIdFileSettings
  readonly auth_password_file: AuthPasswordFileSettings
  readonly authorization: AuthorizationSettings
  readonly limits: LimitsSettings
  readonly bans: BansSettings
  readonly connection: ConnectionSettings
  readonly session: SessionSettings
  readonly queue: QueueSettings
  readonly shared: SharedSettings
  readonly router: RouterSettings
  readonly retain: RetainSettings
  readonly will: WillSettings
  readonly store: StoreSettings
  readonly cluster: ClusterSettings
  readonly sys: SysSettings
}

export const defaultSettings: Settings = {
  node: nodeDefaults,
  admin: adminDefaults,
  log: logDefaults,
  listeners: [defaultListener, defaultWebSocketListener],
  zones: [],
  access: accessDefaults,
  overload: overloadDefaults,
  authentication: authenticationDefaults,
  auth_jwt: authJwtDefaults,
  auth_http: authHttpDefaults,
  auth_certificate: authCertificateDefaults,
  auth_users: authUsersDefaults,
  auth_scram: authScramDefaults,
  auth_client_id_file: authClientIdFileDefaults,
  auth_password_file: authPasswordFileDefaults,
  ...authDatabasesDefaults,
  authorization: authorizationDefaults,
  limits: limitsDefaults,
  bans: bansDefaults,
  connection: connectionDefaults,
  session: sessionDefaults,
  queue: queueDefaults,
  shared: sharedDefaults,
  router: routerDefaults,
  retain: retainDefaults,
  will: willDefaults,
  store: storeDefaults,
  cluster: clusterDefaults,
  sys: sysDefaults
}
