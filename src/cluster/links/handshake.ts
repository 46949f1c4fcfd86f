// How two nodes come to trust each other: Hello, Challenge, Proof, Welcome, each a frame; or Refused. Both prove by HMAC-SHA256 over all
// that was said, both nonces and both names in it, that they know the secret, which never travels. Pure. Invariant: nobody is believed a
// name before its proof is judged; a proof of one role is none of the other, nor of another handshake.
import { createHmac, timingSafeEqual } from "node:crypto"
import { BodyReader } from "../BodyReader.ts"
import { BodyWriter } from "../BodyWriter.ts"
import type { Peer } from "../Bus.ts"

/** Of the protocol between nodes that this program speaks. A later one that can still speak the former says so by a lower `lowest`. */
export const versions = { lowest: 1, highest: 1 } as const

export interface Versions {
  readonly lowest: number
  readonly highest: number
}

export const nonceBytes = 32
const instanceBytes = 16
const proofBytes = 32
const magic = "EMQC"

/** So many secrets hold at the same time: while one is changed, the new and the old one. */
export const mostSecrets = 2

/** Nothing of a handshake is longer. */
export const longestHandshakeFrame = 4096

export interface Identity {
  readonly versions: Versions
  readonly cluster: string
  readonly name: string
  readonly epoch: number
  /** Of this process: 16 bytes by chance, which tell a node from another one with its name. */
  readonly instance: Buffer
  readonly nonce: Buffer
  /** How much it takes before it has to say that it has handled it. */
  readonly window: number
  /** Version of its program, for people; "": it has not said. */
  readonly program: string
}

/** Why a node is not let in; a number on the wire, a text for the log. */
export const Refusal = {
  Version: 1,
  Cluster: 2,
  Secret: 3,
  Name: 4,
  Full: 5,
  Myself: 6,
  /** There is a link to it already. */
  Twice: 7,
  Malformed: 8,
  Leaving: 9
} as const
export type Refusal = (typeof Refusal)[keyof typeof Refusal]

const reasons: { readonly [code: number]: string } = {
  [Refusal.Version]: "no common version of the protocol between nodes",
  [Refusal.Cluster]: "another cluster.name",
  [Refusal.Secret]: "another cluster secret",
  [Refusal.Name]: "a node with this node.name is in the cluster already",
  [Refusal.Full]: "cluster.max_members is reached",
  [Refusal.Myself]: "it is this node itself",
  [Refusal.Twice]: "there is a link already",
  [Refusal.Malformed]: "it does not speak the protocol between nodes",
  [Refusal.Leaving]: "the node is leaving the cluster"
}

export const reasonOf = (code: number): string => reasons[code] ?? `reason ${code}`

/** Body of Hello, and the first part of Challenge. */
export const identityBody = (identity: Identity): Buffer => {
  const { cluster, epoch, instance, name, nonce, program, versions, window } = identity
  const writer = new BodyWriter(256).raw(Buffer.from(magic)).uint16(versions.lowest).uint16(versions.highest)
  writer.text(cluster).text(name).uint64(epoch).raw(instance).raw(nonce).uint32(window).text(program)
  return Buffer.from(writer.written())
}

const readVersions = (reader: BodyReader): Versions => {
  if (reader.take(magic.length).toString("latin1") !== magic) throw new RangeError("no Hello of a node")
  return { lowest: reader.uint16(), highest: reader.uint16() }
}

/** Of every version there will be: magic and versions come first. */
export const versionsOf = (body: Buffer): Versions => readVersions(new BodyReader(body))

const readIdentity = (reader: BodyReader): Identity => {
  return {
    versions: readVersions(reader),
    cluster: reader.text(),
    name: reader.text(),
    epoch: reader.uint64(),
    instance: Buffer.from(reader.take(instanceBytes)),
    nonce: Buffer.from(reader.take(nonceBytes)),
    window: reader.uint32(),
    program: reader.atEnd ? "" : reader.text().slice(0, 64)
  }
}

/** What stands behind it is of a later version. Throws as BodyReader does. */
export const readHello = (body: Buffer): Identity => readIdentity(new BodyReader(body))

export interface Challenge {
  readonly identity: Identity
  /** The part of the body that the proofs are made over. */
  readonly said: Buffer
  /** One for each secret that holds at the acceptor, in its order. */
  readonly proofs: ReadonlyArray<Buffer>
}

/** The identity's bytes stand in it with their length, so that a later version can add to them. */
export const challengeBody = (said: Buffer, proofs: ReadonlyArray<Buffer>): Buffer => {
  const writer = new BodyWriter(512).data(said)
  for (const proof of proofs) writer.raw(proof)
  return Buffer.from(writer.written())
}

export const readChallenge = (body: Buffer): Challenge => {
  const reader = new BodyReader(body)
  const said = reader.data()
  const proofs = [Buffer.from(reader.take(proofBytes))]
  while (proofs.length < mostSecrets && reader.left >= proofBytes) proofs.push(Buffer.from(reader.take(proofBytes)))
  return { said, identity: readHello(said), proofs }
}

export type Role = "acceptor" | "initiator"

/** `hello` and `answer`: the bytes that the two have said about themselves. */
export const proofOf = (secret: string, role: Role, hello: Buffer, answer: Buffer): Buffer => {
  const lengths = Buffer.alloc(8)
  lengths.writeUInt32BE(hello.length, 0)
  lengths.writeUInt32BE(answer.length, 4)
  return createHmac("sha256", secret).update(`emqttd cluster ${role}\0`).update(lengths).update(hello).update(answer)
    .digest()
}

export const isProof = (given: Buffer, expected: Buffer): boolean =>
  given.length === expected.length && timingSafeEqual(given, expected)

/** The highest version that both speak; undefined: there is none. */
export const agreedVersion = (ours: Versions, theirs: Versions): number | undefined => {
  const highest = Math.min(ours.highest, theirs.highest)
  return highest >= Math.max(ours.lowest, theirs.lowest) ? highest : undefined
}

/** For the log: who speaks what. */
export const versionsText = ({ highest, lowest }: Versions): string =>
  lowest === highest ? `${lowest}` : `${lowest} to ${highest}`

/** What is wrong with the other node at first sight, before any proof. */
export const firstSight = (ours: Identity, theirs: Identity): Refusal | undefined => {
  if (ours.cluster !== theirs.cluster) return Refusal.Cluster
  if (ours.name !== theirs.name) return undefined
  return ours.instance.equals(theirs.instance) ? Refusal.Myself : Refusal.Name
}

export const peerOf = (ours: Identity, theirs: Identity): Peer => ({
  name: theirs.name,
  epoch: theirs.epoch,
  version: agreedVersion(ours.versions, theirs.versions) ?? ours.versions.highest
})

export const refusedBody = (code: Refusal, detail: string): Buffer =>
  Buffer.from(new BodyWriter(64).uint8(code).text(detail).written())

export const readRefused = (body: Buffer): { readonly code: number; readonly detail: string } => {
  const reader = new BodyReader(body)
  return { code: reader.uint8(), detail: reader.text() }
}
