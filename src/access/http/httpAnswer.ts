// What the answer of an HTTP service means. The modern form is JSON, {"result": "allow" | "deny" | "ignore", …}; the original's is the status, with the
// body "ignore" for who does not know the client. Pure. Invariant: what is not understood is no answer, and never an allow.
import { Predicate } from "effect"
import type { HttpAnswer } from "./HttpBackend.ts"

export interface HttpVerdict {
  readonly result: "allow" | "deny" | "ignore"
  readonly superuser: boolean
  /** As it came; undefined: none. */
  readonly acl: unknown
  /** ms since 1970; undefined: never. */
  readonly expiresAt: number | undefined
}

const plain = (result: HttpVerdict["result"]): HttpVerdict => ({
  result,
  superuser: false,
  acl: undefined,
  expiresAt: undefined
})

/** A text: what is wrong with it. Statuses that are no answer have not come so far. */
export const verdictOf = ({ body, isJson, status }: HttpAnswer): HttpVerdict | string => {
  if (status >= 400) return plain("deny")
  if (isJson && body.trim() !== "") return ofJson(body)
  const text = body.trim().toLowerCase()
  return plain(text === "ignore" || text === "deny" ? text : "allow")
}

const ofJson = (body: string): HttpVerdict | string => {
  const answer = parseJson(body)
  if (!Predicate.isObject(answer) || Array.isArray(answer)) return "the answer is no JSON object"
  const field = (name: string): unknown => Object.entries(answer).find(([key]) => key === name)?.[1]
  const result = (["allow", "deny", "ignore"] as const).find((one) => one === field("result"))
  if (result === undefined) return `the JSON answer has no "result" of allow, deny or ignore`
  const superuser = field("is_superuser") ?? false
  if (typeof superuser !== "boolean") return `"is_superuser" is neither true nor false`
  const expireAt = field("expire_at")
  if (expireAt !== undefined && expireAt !== null && typeof expireAt !== "number") {
    return `"expire_at" is no number of seconds`
  }
  return {
    result,
    superuser,
    acl: field("acl") ?? undefined,
    expiresAt: typeof expireAt === "number" ? expireAt * 1000 : undefined
  }
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
