// The mechanisms of SCRAM that there are, by their registered names (RFC 5802, RFC 7677): what settings name and CONNECT asks for.
export const scramMechanisms = ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const
export type ScramMechanism = (typeof scramMechanisms)[number]
