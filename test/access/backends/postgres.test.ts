// The contract of SQL back ends against a real PostgreSQL.
import { makePostgres } from "../../../src/access/backends/makeBackend.ts"
import { missingPostgres, PostgresServer } from "../../support/PostgresServer.ts"
import { sqlSettings } from "./backendLog.ts"
import { sqlContract, type SqlServer } from "./sqlContract.ts"

class Server implements SqlServer {
  readonly running = PostgresServer.start()
  query(sql: string): string {
    return this.running.query(sql)
  }
  kill(): void {
    this.running.pause()
  }
  resume(): void {
    this.running.resume()
  }
  stop(): void {
    this.running.stop()
  }
}

sqlContract({
  name: "postgres",
  missing: missingPostgres,
  start: () => new Server(),
  schema: [
    "create table mqtt_user (id serial primary key, username text unique, password text, salt text, is_superuser boolean)",
    "insert into mqtt_user (username, password, salt, is_superuser) values ('bob', 'secret', 'pepper', false), ('root', 'r', null, true), ('zoë 🎉', 'ünï', null, false), ('unset', null, null, null)",
    "create table mqtt_acl (id serial primary key, allow integer, ipaddr varchar(60), username varchar(100), clientid varchar(100), access integer, topic varchar(100))",
    "insert into mqtt_acl (allow, ipaddr, username, clientid, access, topic) values (0, null, '$all', null, 1, '#'), (1, null, 'bob', null, 3, 'own/%u'), (1, '10.0.0.7', null, null, 1, 'x/#')"
  ],
  make: ({ running }, { wrongPassword = false, ...asking }, host) => {
    const url = running.url("x").replace("&schema=x", "").replace("emqttd@", wrongPassword ? "nobody@" : "emqttd@")
    return makePostgres({ ...sqlSettings, ...asking, url }, host)
  },
  slowQuery: "select password, pg_sleep(10) from mqtt_user where username = '%u'",
  noSuchTable: /^postgres: auth_query: relation "no_such_table" does not exist$/,
  badCredentials: /^postgres: role "nobody" does not exist$/
})
