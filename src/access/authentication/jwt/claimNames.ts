// Where in a token a claim stands. Pure. Invariant: only what the token itself says counts, nothing that every object has.
import { Predicate } from "effect"

export type Claims = { readonly [name: string]: unknown }

export const isClaims = (value: unknown): value is Claims => Predicate.isObject(value) && !Array.isArray(value)

/** `name`, or a way as in "/realm_access/acl"; "" is no claim. Undefined: the token does not have it. */
export const claimAt = (claims: Claims, name: string): unknown => {
  if (name === "") return undefined
  if (!name.startsWith("/")) return own(claims, name)
  let at: unknown = claims
  for (const key of name.slice(1).split("/")) {
    if (!isClaims(at)) return undefined
    at = own(at, key)
  }
  return at
}

const own = (claims: Claims, name: string): unknown => Object.hasOwn(claims, name) ? claims[name] : undefined
