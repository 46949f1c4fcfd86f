// What can be said of an address as a socket gives it. Plain functions.

export const isLoopback = (address: string): boolean =>
  address === "::1" || address.startsWith("127.") || address.startsWith("::ffff:127.")

/** What one stranger has: an IPv4 address, or a /64 of IPv6, as whoever has one address of it has all. */
export const networkKey = (address: string): string => {
  if (!address.includes(":")) return address
  const plain = address.toLowerCase().replace(/%.*$/, "")
  if (plain.startsWith("::ffff:") && plain.includes(".")) return plain.slice("::ffff:".length)
  const [left = "", right] = plain.split("::")
  const groups = left === "" ? [] : left.split(":")
  const trailing = right === undefined || right === "" ? [] : right.split(":")
  while (right !== undefined && groups.length + trailing.length < 8) groups.push("0")
  return [...groups, ...trailing].slice(0, 4).map((group) => group.replace(/^0+(?=.)/, "")).join(":") + "::/64"
}
