// The original's default rules, for a node that has no file of its own: the rules of etc/acl.config, line by line.
// Invariant: the two say the same (test/access/rules/defaultRules.test.ts).

/** What a decision by these rules names as its file. */
export const defaultRulesName = "default rules"

export const defaultRules = `{allow, {user, "dashboard"}, subscribe, ["$SYS/#"]}.
{allow, {ipaddr, "127.0.0.1"}, pubsub, ["$SYS/#", "#"]}.
{deny, all, subscribe, ["$SYS/#", {eq, "#"}]}.
{allow, all}.
`
