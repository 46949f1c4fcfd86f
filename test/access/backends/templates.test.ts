// Placeholders: what of a template is text and what becomes a parameter, an argument or an escaped value.
import { assert, describe, it } from "@effect/vitest"
import { argumentsOf, parseCommandTemplate } from "../../../src/access/backends/commandTemplate.ts"
import { directoryText, parseDirectoryTemplate } from "../../../src/access/backends/directoryTemplate.ts"
import { type Names, passwordText } from "../../../src/access/backends/placeholders.ts"
import { parametersOf, parseSqlTemplate, type SqlDialect } from "../../../src/access/backends/sqlTemplate.ts"

const names: Names = {
  clientId: "c1",
  userName: "bob",
  address: "::ffff:10.0.0.7",
  password: "pw",
  certificateName: "plc",
  certificateSubject: "CN=plc,O=x"
}

const sql = (template: string, dialect: SqlDialect = "postgres", who: Names = names) => {
  const parsed = parseSqlTemplate(template, dialect)
  return typeof parsed === "string" ? parsed : [parsed.sql, ...parametersOf(parsed, who)]
}

describe("SQL", () => {
  it("the original's queries, quoted or not", () => {
    assert.deepStrictEqual(sql("select password from mqtt_user where username = '%u' limit 1"), [
      "select password from mqtt_user where username = $1 limit 1",
      "bob"
    ])
    assert.deepStrictEqual(
      sql(
        "select allow from mqtt_acl where ipaddr = '%a' or username = %u or username = '$all' or clientid = \"%c\";",
        "mysql"
      ),
      [
        "select allow from mqtt_acl where ipaddr = ? or username = ? or username = '$all' or clientid = ?",
        "10.0.0.7",
        "bob",
        "c1"
      ]
    )
    assert.deepStrictEqual(sql("select 1 where %P = '%C' and x = '%d'"), [
      "select 1 where $1 = $2 and x = $3",
      "pw",
      "plc",
      "CN=plc,O=x"
    ])
  })

  it("a literal with more in it is one parameter", () => {
    assert.deepStrictEqual(sql("select 'it''s', 'dev-%c/it''s %u'"), ["select 'it''s', $1", "dev-c1/it's bob"])
    assert.deepStrictEqual(sql(`select "say ""%u"""`, "mysql"), ["select ?", 'say "bob"'])
  })

  it("%% is a percent sign, one before another letter too", () => {
    assert.deepStrictEqual(sql("select 7 %% 2, '%%u', a LIKE '%x' "), ["select 7 % 2, '%u', a LIKE '%x'"])
  })

  it("what a client says is never looked at again", () => {
    const evil = { ...names, userName: "%c' or 1=1 -- $1 ? \\", clientId: "%u" }
    assert.deepStrictEqual(sql("select '%u', '%c-%u'", "postgres", evil), [
      "select $1, $2",
      evil.userName,
      `%u-${evil.userName}`
    ])
  })

  it("without a value, or with one that no text can hold, it is NULL", () => {
    assert.deepStrictEqual(sql("select '%u', 'x%u'", "postgres", { ...names, userName: undefined }), [
      "select $1, $2",
      null,
      null
    ])
    assert.deepStrictEqual(sql("select '%P'", "mysql", { ...names, password: "a\0b" }), ["select ?", null])
  })

  it("a placeholder where no value can stand is a fault", () => {
    const faults: ReadonlyArray<readonly [string, SqlDialect, RegExp]> = [
      [`select "%u" from x`, "postgres", /%u stands in a quoted name/],
      ["select `%u` from x", "mysql", /%u stands in a quoted name/],
      ["select 1 -- '%u'\n", "postgres", /%u stands in a comment/],
      ["select 1 # %c", "mysql", /%c stands in a comment/],
      ["select /* '%u' */ 1", "postgres", /%u stands in a comment/],
      ["select $x$ '%u' $x$", "postgres", /%u stands in a text in \$x\$/],
      ["select E'%u'", "postgres", /%u stands in '%u': write a plain/],
      ["select '\\'%u'", "mysql", /write a plain/],
      ["select _utf8'%u'", "mysql", /write a plain/],
      ["select '%u", "postgres", /the quote ' is not closed/],
      ["select $1", "postgres", /\$1 is no placeholder/],
      ["select ?", "mysql", /\? is no placeholder/]
    ]
    for (const [template, dialect, fault] of faults) assert.match(String(sql(template, dialect)), fault, template)
  })

  it("quotes in a comment, in a name and in a text end nothing", () => {
    assert.deepStrictEqual(sql(`select '%u' -- it's\n, "a'b", '%c'`), [`select $1 -- it's\n, "a'b", $2`, "bob", "c1"])
    assert.deepStrictEqual(sql("select '\\'', '%u'", "mysql"), ["select '\\'', ?", "bob"])
    assert.deepStrictEqual(sql("select '\\', '%u'", "postgres"), ["select '\\', $1", "bob"])
    assert.deepStrictEqual(sql("select E'\\'', '%u'", "postgres"), ["select E'\\'', $1", "bob"])
  })
})

describe("Redis", () => {
  const words = (template: string, who: Names = names) => {
    const parsed = parseCommandTemplate(template)
    return typeof parsed === "string" ? parsed : argumentsOf(parsed, who)
  }

  it("the original's commands", () => {
    assert.deepStrictEqual(words("HMGET mqtt_user:%u password salt"), ["HMGET", "mqtt_user:bob", "password", "salt"])
    assert.deepStrictEqual(words(" HGETALL  mqtt_acl:%u "), ["HGETALL", "mqtt_acl:bob"])
  })

  it("a name with spaces and line ends is one argument", () => {
    const userName = "bob password\r\nFLUSHALL\r\n"
    assert.deepStrictEqual(words("HGET mqtt_user:%u password", { ...names, userName }), [
      "HGET",
      `mqtt_user:${userName}`,
      "password"
    ])
  })

  it("nothing is asked for nobody; a command has a name", () => {
    assert.isUndefined(words("HGET mqtt_user:%u password", { ...names, userName: undefined }))
    assert.strictEqual(words(" "), "empty")
    assert.match(String(words("%u x")), /cannot be a placeholder/)
  })
})

describe("LDAP", () => {
  const text = (template: string, userName: string | undefined) =>
    directoryText(parseDirectoryTemplate(template), { ...names, userName })

  it("a value is escaped, in a name and in a filter alike", () => {
    assert.strictEqual(text("uid=%u,dc=example", "bob-1.x@y_z"), "uid=bob-1.x@y_z,dc=example")
    assert.strictEqual(
      text("uid=%u,dc=example", 'a,dc=evil+b"\\ #;<>='),
      "uid=a\\2cdc\\3devil\\2bb\\22\\5c\\20\\23\\3b\\3c\\3e\\3d,dc=example"
    )
    assert.strictEqual(
      text("(&(uid=%u)(x=1))", "*)(uid=*))(|(a=b"),
      "(&(uid=\\2a\\29\\28uid\\3d\\2a\\29\\29\\28\\7c\\28a\\3db)(x=1))"
    )
    assert.strictEqual(text("uid=%u", "Ünï🎉"), "uid=Ünï🎉")
  })

  it("nobody is meant by no name and by an empty one", () => {
    assert.isUndefined(text("uid=%u,dc=example", undefined))
    assert.isUndefined(text("uid=%u,dc=example", ""))
    assert.isUndefined(text("uid=%u,dc=example", "a\0"))
  })
})

describe("passwords", () => {
  it("bytes that are no text are none", () => {
    assert.strictEqual(passwordText(Buffer.from("pä")), "pä")
    assert.isUndefined(passwordText(Uint8Array.of(0xff, 0xfe)))
    assert.isUndefined(passwordText(undefined))
  })
})
