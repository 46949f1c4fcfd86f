// The table of decisions. A block has the rules and, below them, lines of questions with their answer:
//
//   <client id> <user or -> <address> <pub0..2|pubr0..2|sub0..2> <answer>: <topics, each a row>
//
// Answer: allow or deny and the line of the rule; "none" when no rule matches; line 0 is the file as a whole.

import type { RuleTextType } from "../../../src/access/rules/loadRules.ts"

export interface Block {
  readonly title: string
  readonly type: RuleTextType
  readonly rules: string
  readonly denyCovers?: false
  readonly listener?: string
  readonly certificateName?: string
  readonly questions: string
}

export const blocks: ReadonlyArray<Block> = [
  {
    title: "the original's default file",
    type: "default",
    rules: "",
    questions: `
      c1 - 127.0.0.1 pub0 allow 2: a a/b /a a/ $SYS/x $SYS
      c1 - 127.0.0.1 sub0 allow 2: # +/# a/# $SYS/# $SYS/+/x $SYS $share/g/# $queue/# $local/# $local/$SYS/# $share/g/$SYS/#
      c1 - ::ffff:127.0.0.1 sub0 allow 2: # $SYS/#
      c1 - 127.0.0.2 sub0 deny 3: # $SYS/#
      c1 - ::1 sub0 deny 3: # $SYS/#
      c1 - 10.0.0.1 pub0 allow 4: a a/b $SYS/x $other/x
      c1 - 10.0.0.1 sub0 allow 4: a a/# +/a +/+ a/+/# /# + $other/# $SYSTEM/# SYS/#
      c1 - 10.0.0.1 sub0 deny 3: # +/# $SYS/# $SYS $SYS/+ $SYS/a/# $SYS/+/+/x
      c1 - 10.0.0.1 sub2 deny 3: $share/g/# $share/g/+/# $share/g/$SYS/# $share/g/$SYS/a $queue/# $queue/+/# $queue/$SYS/#
      c1 - 10.0.0.1 sub1 deny 3: $local/# $local/+/# $local/$SYS/# $local/$share/g/# $local/$queue/# $local/$share/g/$SYS/x
      c1 dashboard 10.0.0.1 sub0 allow 1: $SYS/# $SYS/a $SYS $SYS/+ $share/g/$SYS/#
      c1 dashboard 10.0.0.1 sub0 deny 3: # +/#
      c1 dashboard 10.0.0.1 pub0 allow 4: $SYS/a a
      dashboard - 10.0.0.1 sub0 deny 3: $SYS/# #
      c1 Dashboard 10.0.0.1 sub0 deny 3: $SYS/#
    `
  },
  {
    title: "the original's way with a SUBSCRIBE (deny_covers = false)",
    type: "acl_config",
    denyCovers: false,
    rules: `{deny, all, subscribe, ["$SYS/#", {eq, "#"}, "secret/+", "x/y"]}.\n{allow, all}.`,
    questions: `
      c1 - 10.0.0.1 sub0 deny 1: # $SYS/# $SYS/a secret/a secret/+ secret/# x/y $share/g/# $queue/# $local/#
      c1 - 10.0.0.1 sub0 allow 2: +/# a/# x/+ x/# + secret/a/b secret secret/+/+ x
      c1 - 10.0.0.1 pub0 allow 2: secret/a x/y $SYS/a
    `
  },
  {
    title: "a denied topic denies what would bring it",
    type: "acl_config",
    rules:
      `{allow, {user, "root"}, pubsub, ["secret/#"]}.\n{deny, all, subscribe, ["secret/+/key", {eq, "a/#"}]}.\n{allow, all}.`,
    questions: `
      c1 - 10.0.0.1 sub0 deny 2: # +/# secret/# secret/a/key secret/+/key +/+/key +/+/+ secret/a/# secret/a/+ +/a/# a/# $share/g/secret/a/+ $queue/+/+/+
      c1 - 10.0.0.1 sub0 allow 3: a a/b a/+ a/+/# secret secret/+ secret/a/b secret/a/key/+ +/+ + b/# /# $SYS/#
      c1 root 10.0.0.1 sub0 allow 1: secret/# secret/a/key secret secret/+/key $share/g/secret/#
      c1 root 10.0.0.1 sub0 deny 2: # +/# +/a/key a/#
    `
  },
  {
    title: "an allowed filter has to be covered whole",
    type: "acl_config",
    rules: `{allow, all, subscribe, ["a/+", "b/#", "+/x", {eq, "e/#"}]}.\n{deny, all}.`,
    questions: `
      c1 - 10.0.0.1 sub0 allow 1: a/b a/+ a/ b b/# b/c/d b/+/# +/x q/x a/x e/# $share/g/a/+
      c1 - 10.0.0.1 sub0 deny 2: a a/# a/+/# a/b/c # + +/+ +/# +/y e/y e e/+ e/+/# $SYS/x $share/g/a/# $queue/# $local/a/#
      c1 - 10.0.0.1 pub0 deny 2: a/b b e/#
    `
  },
  {
    title: "who: user, client, address, and, or",
    type: "acl_config",
    rules: `{allow, {user, "bob"}, pubsub, ["u/#"]}.
{allow, {client, "dev1"}, pubsub, ["c/#"]}.
{allow, {ipaddr, "192.168.0.0/16"}, pubsub, ["i/#"]}.
{allow, {'and', [{user, "bob"}, {client, "dev1"}]}, pubsub, ["and/#"]}.
{allow, {'or', [{user, "bob"}, {client, "dev1"}]}, pubsub, ["or/#"]}.
{allow, {'and', [{ipaddr, "10.0.0.0/8"}, {'or', [{user, "eve"}, {client, "dev2"}]}]}, pubsub, ["nested/#"]}.
{allow, {user, all}, publish, ["anyuser"]}.
{allow, {client, all}, subscribe, ["anyclient"]}.
{allow, {'or', []}, pubsub, ["nobody"]}.
{allow, {'and', []}, pubsub, ["everybody"]}.
{allow, {ipaddr, "fd00::/8"}, pubsub, ["six"]}.
{allow, {ipaddr, "10.1.2.3"}, pubsub, ["one"]}.`,
    questions: `
      dev1 bob 10.0.0.1 pub0 allow 1: u/a u u/a/b
      dev1 bob 10.0.0.1 pub0 allow 2: c/a
      dev1 bob 10.0.0.1 pub0 allow 4: and/a
      dev1 bob 10.0.0.1 sub0 allow 4: and/#
      dev2 bob 10.0.0.1 sub0 none: and/# c/# i/#
      dev1 - 10.0.0.1 sub0 none: and/# u/#
      dev1 - 10.0.0.1 sub0 allow 5: or/# or/a
      dev9 bob 10.0.0.1 sub0 allow 5: or/+
      dev9 - 10.0.0.1 sub0 none: or/#
      dev9 - 192.168.3.4 pub0 allow 3: i/a i
      dev9 - 192.169.3.4 pub0 none: i/a i
      dev9 - ::ffff:192.168.3.4 pub0 allow 3: i/b
      dev2 - 10.9.9.9 pub0 allow 6: nested/a
      dev9 eve 10.9.9.9 pub0 allow 6: nested/a
      dev2 eve 11.9.9.9 pub0 none: nested/a
      dev9 - 10.9.9.9 pub0 allow 7: anyuser
      dev9 bob 10.9.9.9 pub0 allow 7: anyuser
      dev9 - 10.9.9.9 sub0 none: anyuser
      dev9 - 10.9.9.9 sub0 allow 8: anyclient
      dev9 - 10.9.9.9 pub0 none: anyclient nobody
      dev9 - 10.9.9.9 pub0 allow 10: everybody
      dev9 - fd12::1 pub0 allow 11: six
      dev9 - fe80::1 pub0 none: six
      dev9 - fd12::1 pub0 none: i/a one
      dev9 - 10.1.2.3 pub0 allow 12: one
      dev9 - 10.1.2.4 pub0 none: one
      bob dev1 10.0.0.1 pub0 none: u/a c/a and/a or/a
    `
  },
  {
    title: "%u and %c are whole levels, and never more than the name",
    type: "acl_config",
    rules: `{allow, all, pubsub, ["u/%u/#", "c/%c", "x/$u/y/$c", "lit/a%u", "%c/home/#"]}.
{allow, all, pubsub, [{eq, "eq/%u"}]}.
{deny, all}.`,
    questions: `
      dev1 bob 10.0.0.1 pub0 allow 1: u/bob u/bob/a u/bob/a/b c/dev1 x/bob/y/dev1 dev1/home/a lit/a%u
      dev1 bob 10.0.0.1 sub0 allow 1: u/bob/# u/bob/+ c/dev1 dev1/home/# $share/g/u/bob/#
      dev1 bob 10.0.0.1 pub0 deny 3: u/eve u/bo u/bobb u/%u u c/dev2 c/dev1/x c/%c x/bob/y/dev2 x/eve/y/dev1 lit/abob eq/bob u//a
      dev1 bob 10.0.0.1 sub0 deny 3: u/# u/+/# u/+ u/eve/# c/+ c/# +/home/# # +/# +/dev1
      dev1 bob 10.0.0.1 pub0 allow 2: eq/%u
      dev1 - 10.0.0.1 pub0 deny 3: u/%u u/ u u//x u/undefined/a x/%u/y/dev1 x//y/dev1
      dev1 - 10.0.0.1 pub0 allow 1: c/dev1 dev1/home/x
      + + 10.0.0.1 sub0 deny 3: u/+/# u/# u/bob/# c/+ +/home/# x/+/y/+
      # # 10.0.0.1 sub0 deny 3: u/# u/#/# c/# # c/bob
      a/b a/b 10.0.0.1 pub0 deny 3: u/a u/a/b u/a/b/c c/a c/a/b x/a/b/y/a/b a/b/home/x
      a/# bob/# 10.0.0.1 sub0 deny 3: u/bob/# c/a/# c/a
      +/# - 10.0.0.1 sub0 deny 3: c/+/# c/#
      $SYS - 10.0.0.1 sub0 deny 3: $SYS/home/# $SYS/home $SYS/#
      $SYS - 10.0.0.1 sub0 allow 1: c/$SYS
      %u bob 10.0.0.1 pub0 deny 3: c/bob bob/home/x
      %u bob 10.0.0.1 pub0 allow 1: c/%u %u/home/x u/bob
      dev1 %c 10.0.0.1 pub0 deny 3: u/dev1/a
      d"{}\\' - 10.0.0.1 pub0 allow 1: c/d"{}\\'
    `
  },
  {
    title: "denials by name",
    type: "acl_config",
    rules:
      `{deny, {user, "eve"}, pubsub, ["#"]}.\n{deny, {client, "bad"}, publish, ["a/#"]}.\n{deny, all, pubsub, ["own/%u/#"]}.\n{allow, all, publish, ["#"]}.`,
    questions: `
      c1 eve 10.0.0.1 pub0 deny 1: a a/b /a own/eve
      c1 eve 10.0.0.1 sub0 deny 1: # a +/# + $share/g/a
      c1 eve 10.0.0.1 pub0 none: $SYS/a $a
      bad - 10.0.0.1 pub0 deny 2: a a/b/c
      bad - 10.0.0.1 pub0 allow 4: b ab /a
      bad - 10.0.0.1 sub0 none: a/b
      c1 bob 10.0.0.1 pub0 deny 3: own/bob own/bob/a
      c1 bob 10.0.0.1 sub0 deny 3: own/# own/+ own/bob # +/bob/x
      c1 bob 10.0.0.1 pub0 allow 4: own/eve own
      c1 bob 10.0.0.1 sub0 none: own/eve/# own other/#
      c1 - 10.0.0.1 sub0 none: own/# #
    `
  },
  {
    title: "wildcards and empty levels",
    type: "acl_config",
    rules: `{allow, all, publish, ["+/b", "/+", "a//b", "deep/+/+/#", "end/", "ä/+"]}.\n{deny, all, publish, ["#"]}.`,
    questions: `
      c1 - 10.0.0.1 pub0 allow 1: a/b /b x/b /x / a//b deep/1/2 deep/1/2/3/4 deep// end/ ä/ö
      c1 - 10.0.0.1 pub0 deny 2: b a/b/ a/b/c //b/ a///b deep/1 deep end end/x /x/y ä
      c1 - 10.0.0.1 pub0 none: $x $SYS/b $/b
    `
  },
  {
    title: "Mosquitto's file: users, anonymous clients, denials first, nothing else",
    type: "mosquitto",
    rules: `# comment
topic read public/#
topic write inbox/+
topic deny public/secret

user bob
topic readwrite bob/#
topic both
topic deny bob/private/#
topic read $SYS/#
topic read with space/#

user eve smith
topic read eve/#

user bob
topic write late/#`,
    questions: `
      c1 - 10.0.0.1 sub0 allow 2: public/a public/a/# public/a/+
      c1 - 10.0.0.1 sub0 deny 4: public/# public/+ public/secret # +/# $share/g/public/#
      c1 - 10.0.0.1 pub0 allow 3: inbox/a
      c1 - 10.0.0.1 pub0 deny 0: inbox inbox/a/b public/a bob/a $SYS/x both
      c1 - 10.0.0.1 pub0 deny 4: public/secret
      c1 - 10.0.0.1 sub0 deny 0: inbox/a bob/# $SYS/#
      c1 bob 10.0.0.1 pub0 allow 7: bob bob/a bob/a/b
      c1 bob 10.0.0.1 pub0 allow 8: both
      c1 bob 10.0.0.1 pub0 deny 9: bob/private bob/private/a
      c1 bob 10.0.0.1 sub0 deny 9: bob/# bob/private/+ # +/private/#
      c1 bob 10.0.0.1 sub0 allow 7: bob/a/# bob/a
      c1 bob 10.0.0.1 sub0 allow 10: $SYS/# $SYS/a
      c1 bob 10.0.0.1 sub0 deny 0: public/a eve/a late/a
      c1 bob 10.0.0.1 pub0 deny 0: $SYS/a inbox/a
      c1 bob 10.0.0.1 pub0 allow 17: late/a
      c1 eve 10.0.0.1 sub0 deny 0: eve/a
      c1 frank 10.0.0.1 sub0 deny 0: public/a eve/a
    `
  },
  {
    title: "Mosquitto's patterns",
    type: "mosquitto",
    rules: `topic read open
pattern readwrite home/%u/#
pattern write dev-%c/x%u
pattern read c/%c
pattern deny home/%u/locked
pattern read everyone/#
pattern write %c/top`,
    questions: `
      dev1 bob 10.0.0.1 pub0 allow 2: home/bob home/bob/a
      dev1 bob 10.0.0.1 pub0 deny 5: home/bob/locked
      dev1 bob 10.0.0.1 sub0 deny 5: home/bob/# home/bob/+ home/+/locked #
      dev1 bob 10.0.0.1 pub0 allow 3: dev-dev1/xbob
      dev1 bob 10.0.0.1 pub0 deny 0: dev-dev1/xeve dev-dev2/xbob home/eve c/dev1 everyone/a open
      dev1 bob 10.0.0.1 sub0 allow 4: c/dev1
      dev1 bob 10.0.0.1 sub0 allow 6: everyone/# everyone
      dev1 bob 10.0.0.1 pub0 allow 7: dev1/top
      dev1 - 10.0.0.1 sub0 allow 1: open
      dev1 - 10.0.0.1 pub0 deny 0: home/%u home/ home//a dev-dev1/x home
      dev1 - 10.0.0.1 sub0 allow 4: c/dev1
      + bob 10.0.0.1 sub0 deny 0: c/+ home/bob/a everyone/a
      dev1 # 10.0.0.1 sub0 deny 0: home/#/x everyone/a c/dev1
      dev1 b/o 10.0.0.1 pub0 deny 0: home/b/o home/b home/b/o/x dev-dev1/xb/o
      dev1 b/o 10.0.0.1 pub0 deny 5: home/b/o/locked
      dev1 b/o 10.0.0.1 sub0 allow 4: c/dev1
      $SYS bob 10.0.0.1 pub0 deny 0: $SYS/top
    `
  },
  {
    title: "our own form: conditions of a packet, names by regular expression",
    type: "toml",
    rules: `[[rules]]
effect = "deny"
action = "publish"
topics = ["state/#"]
qos = [0]
[[rules]]
effect = "deny"
action = "publish"
topics = "state/#"
retain = false
[[rules]]
effect = "allow"
topics = ["state/%c", { eq = "#" }]
user_regex = "dev-[0-9]{1,4}"
[[rules]]
effect = "allow"
client = ["a", "b"]
user = "bob"
topics = ["ab/#"]
[[rules]]
effect = "deny"
client_regex = "^bad.*$"
[[rules]]
effect = "allow"
anonymous = true
address = ["10.0.0.0/8", "fd00::/8"]
topics = "anon/#"
action = "subscribe"
[[rules]]
effect = "deny"
action = "subscribe"
qos = 2`,
    questions: `
      c1 dev-1 10.0.0.1 pubr1 allow 11: state/c1
      c1 dev-1 10.0.0.1 pub0 deny 1: state/c1 state
      c1 dev-1 10.0.0.1 pubr0 deny 1: state/c1
      c1 dev-1 10.0.0.1 pub1 deny 6: state/c1 state/x
      c1 dev-1 10.0.0.1 pubr2 none: state/c2 other
      c1 dev-12345 10.0.0.1 pubr1 none: state/c1
      c1 xdev-1 10.0.0.1 pubr1 none: state/c1
      c1 dev-1x 10.0.0.1 pubr1 none: state/c1
      c1 dev-1 10.0.0.1 sub0 allow 11: state/c1 #
      c1 dev-1 10.0.0.1 sub0 none: state/# +/#
      a bob 10.0.0.1 pub0 allow 15: ab/x ab
      b bob 10.0.0.1 sub1 allow 15: ab/#
      c bob 10.0.0.1 pub0 none: ab/x
      a eve 10.0.0.1 pub0 none: ab/x
      a - 10.0.0.1 pub0 none: ab/x
      bad1 - 10.0.0.1 pub0 deny 20: x $SYS/x anon/a
      bad - 10.0.0.1 sub0 deny 20: anon/# # $SYS/#
      notbad - 10.0.0.1 sub0 allow 23: anon/# anon
      c1 - 11.0.0.1 sub0 none: anon/#
      c1 - fd00::7 sub0 allow 23: anon/a/+
      c1 bob 10.0.0.1 sub0 none: anon/#
      c1 - 10.0.0.1 sub2 allow 23: anon/#
      c1 - 10.0.0.1 sub2 deny 29: other # $SYS/x
      c1 - 10.0.0.1 pub2 none: other
    `
  },
  {
    title: "our own form: listener and certificate",
    type: "toml",
    listener: "tls",
    certificateName: "plc-7",
    rules: `[[rules]]
effect = "allow"
listener = "tls"
certificate_cn = ["plc-7", "plc-8"]
topics = ["plc/#"]
[[rules]]
effect = "allow"
listener = "tcp"
topics = ["plain/#"]
[[rules]]
effect = "allow"
certificate_cn = "other"
topics = ["other/#"]
[[rules]]
effect = "deny"`,
    questions: `
      c1 - 10.0.0.1 pub0 allow 1: plc plc/a
      c1 - 10.0.0.1 sub0 allow 1: plc/#
      c1 - 10.0.0.1 pub0 deny 14: plain/a other/a $SYS/a
      c1 - 10.0.0.1 sub0 deny 14: plain/# other/# # +/# $share/g/#
    `
  }
]
