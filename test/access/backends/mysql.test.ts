// The contract of SQL back ends against a real MariaDB.
import { makeMysql } from "../../../src/access/backends/makeBackend.ts"
import { MariaDbServer, missingMariaDb } from "../../support/MariaDbServer.ts"
import { sqlSettings } from "./backendLog.ts"
import { sqlContract } from "./sqlContract.ts"

class Server {
  private readonly running: MariaDbServer
  constructor(running: MariaDbServer) {
    this.running = running
  }
  url(user?: string): string {
    return this.running.url(user)
  }
  query(sql: string): string {
    return this.running.query(`use emqttd; ${sql}`)
  }
  kill(): Promise<void> {
    return this.running.kill()
  }
  resume(): Promise<void> {
    return this.running.resume()
  }
  stop(): Promise<void> {
    return this.running.stop()
  }
}

sqlContract({
  name: "mysql",
  missing: missingMariaDb,
  start: async () => new Server(await MariaDbServer.start()),
  schema: [
    "create table mqtt_user (id int unsigned not null auto_increment primary key, username varchar(100) unique, password varchar(100), salt varchar(35), is_superuser tinyint(1) default 0, created datetime)",
    "insert into mqtt_user (username, password, salt, is_superuser) values ('bob', 'secret', 'pepper', 0), ('root', 'r', null, 1), ('zoë 🎉', 'ünï', null, 0), ('unset', null, null, null)",
    "create table mqtt_acl (id int unsigned not null auto_increment primary key, allow int, ipaddr varchar(60), username varchar(100), clientid varchar(100), access int not null, topic varchar(100) not null)",
    "insert into mqtt_acl (allow, ipaddr, username, clientid, access, topic) values (0, null, '$all', null, 1, '#'), (1, null, 'bob', null, 3, 'own/%u'), (1, '10.0.0.7', null, null, 1, 'x/#')",
    "create user mallory@localhost identified by 'right'",
    "create user broker@localhost identified by 'hunter2'",
    "grant select on emqttd.* to broker@localhost"
  ],
  make: (server, { wrongPassword = false, ...asking }, host) =>
    makeMysql({ ...sqlSettings, ...asking, url: server.url(wrongPassword ? "mallory" : "broker") }, host),
  slowQuery: "select password, sleep(10) from mqtt_user where username = '%u'",
  noSuchTable: /^mysql: auth_query: Table 'emqttd.no_such_table' doesn't exist$/,
  badCredentials: /^mysql: Access denied for user 'mallory'@'localhost' \(using password: YES\)$/
})
