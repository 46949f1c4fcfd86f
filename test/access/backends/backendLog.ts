// What the tests of back ends have in common: a host whose log they read, and settings as an operator would leave them.
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect, type FileSystem, Redacted, type Scope } from "effect"
import type { Backend } from "../../../src/access/backends/Backend.ts"
import type { BackendHost } from "../../../src/access/backends/SessionPool.ts"
import { defaultSettings } from "../../../src/config/Settings.ts"
import { Counters } from "../../../src/metrics/Counters.ts"
import { EventLog } from "../../../src/metrics/EventLog.ts"

export interface Host extends BackendHost {
  readonly lines: Array<string>
}

/** `now`: for the breaker. */
export const host = (now: () => number = () => 0): Host => {
  const lines: Array<string> = []
  const log = new EventLog(
    (level, message, fields) => lines.push(`${level} ${message}: ${String(fields["failure"] ?? fields["back_end"])}`),
    now,
    60_000
  )
  return { now, log, counters: new Counters(), lines }
}

/** What the settings of a test are right. */
export const made = (
  make: Effect.Effect<Backend, unknown, Scope.Scope | FileSystem.FileSystem>
): Effect.Effect<Backend, never, Scope.Scope> => Effect.orDie(Effect.provide(make, NodeFileSystem.layer))

export const pooled = { poolSize: 2, timeoutMillis: 20_000, breakerFailures: 3, maxRules: 100 }

export const sqlSettings = {
  ...defaultSettings.auth_postgres,
  ...pooled,
  authQuery: "select username, password, salt from mqtt_user where username = '%u' limit 1",
  password: Redacted.make("hunter2")
}

export const withoutTls = { tls: false, tlsVerify: true, ca: "", certificate: "", key: "" }

export const names = {
  clientId: "c1",
  userName: "bob",
  address: "10.0.0.7",
  certificateName: undefined,
  certificateSubject: undefined,
  password: undefined
}

/** Names that try to be more than a name. */
export const attacks: ReadonlyArray<string> = [
  "' or '1'='1",
  "' OR 1=1 -- ",
  "bob' -- ",
  "\\' or 1=1 #",
  "bob\\",
  '" or ""="',
  "'; drop table mqtt_user; --",
  "bob'/*",
  "%",
  "_ob",
  "bob password\r\nFLUSHALL\r\n",
  "*",
  "bob:x",
  "$1",
  "?",
  "%u",
  "\u00bf' or 1=1 -- "
]
