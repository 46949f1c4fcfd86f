// The frames of the directory as bytes. Plain functions. A read beyond the end throws a RangeError, which closes the link.
import { BodyReader } from "../BodyReader.ts"
import { BodyWriter } from "../BodyWriter.ts"
import type { Wanted } from "./DirectoryTable.ts"

export interface Holding {
  readonly clientId: string
  readonly token: number
}

export interface Yield extends Holding {
  readonly to: string
  readonly wanted: Wanted
}

export interface Answer {
  readonly request: number
  readonly clientId: string
  /** 0: superseded. */
  readonly token: number
  /** "": nobody has it. */
  readonly from: string
}

const body = new BodyWriter(4096)

const wantedOf = (value: number): Wanted => {
  if (value > 2) throw new RangeError("an unknown kind of claim")
  return value as Wanted
}

export const writeClaim = (claim: { readonly request: number; readonly clientId: string; readonly wanted: Wanted }) =>
  body.reset().uint32(claim.request).uint8(claim.wanted).text(claim.clientId).written()

export const readClaim = (bytes: Buffer) => {
  const reader = new BodyReader(bytes)
  return { request: reader.uint32(), wanted: wantedOf(reader.uint8()), clientId: reader.text() }
}

export const writeAnswer = ({ clientId, from, request, token }: Answer) =>
  body.reset().uint32(request).uint64(token).text(from).text(clientId).written()

export const readAnswer = (bytes: Buffer): Answer => {
  const reader = new BodyReader(bytes)
  return { request: reader.uint32(), token: reader.uint64(), from: reader.text(), clientId: reader.text() }
}

export const writeYield = ({ clientId, to, token, wanted }: Yield) =>
  body.reset().uint64(token).uint8(wanted).text(to).text(clientId).written()

export const readYield = (bytes: Buffer): Yield => {
  const reader = new BodyReader(bytes)
  return { token: reader.uint64(), wanted: wantedOf(reader.uint8()), to: reader.text(), clientId: reader.text() }
}

/** Of Announce, Release and Settled: any number of client ids with their tokens. */
export const writeHoldings = (holdings: ReadonlyArray<Holding>) => {
  body.reset()
  for (const { clientId, token } of holdings) body.uint64(token).text(clientId)
  return body.written()
}

/** The same one by one, as long as there is room: 64 KiB. */
export class HoldingsFrame {
  private readonly body = new BodyWriter(65_536)

  get isFull(): boolean {
    return this.body.length > 61_440
  }

  begin(): void {
    this.body.reset()
  }

  add(clientId: string, token: number): void {
    this.body.uint64(token).text(clientId)
  }

  written(): Uint8Array {
    return this.body.written()
  }
}

export const readHoldings = (bytes: Buffer): ReadonlyArray<Holding> => {
  const reader = new BodyReader(bytes)
  const holdings: Array<Holding> = []
  while (!reader.atEnd) holdings.push({ token: reader.uint64(), clientId: reader.text() })
  return holdings
}

/** Of Told: the members that are seen. */
export const writeNames = (names: ReadonlyArray<string>) => body.reset().texts(names).written()

export const readNames = (bytes: Buffer) => new BodyReader(bytes).texts()

/** Before a claim that is for one user alone: whether the session is that user's, or nobody's. */
export interface Question {
  readonly request: number
  readonly clientId: string
  readonly claimant: string
  /** Of the user (session/userMark.ts). */
  readonly mark: string
  /** By the member who looks after the client id, to the node that has the session: which answers, whatever it finds. */
  readonly passedOn: boolean
}

export interface QuestionAnswer {
  readonly request: number
  readonly may: boolean
}

export const writeQuestion = ({ claimant, clientId, mark, passedOn, request }: Question) =>
  body.reset().uint32(request).uint8(passedOn ? 1 : 0).text(claimant).text(mark).text(clientId).written()

export const readQuestion = (bytes: Buffer): Question => {
  const reader = new BodyReader(bytes)
  return {
    request: reader.uint32(),
    passedOn: reader.uint8() === 1,
    claimant: reader.text(),
    mark: reader.text(),
    clientId: reader.text()
  }
}

export const writeQuestionAnswer = ({ may, request }: QuestionAnswer) =>
  body.reset().uint32(request).uint8(may ? 1 : 0).written()

export const readQuestionAnswer = (bytes: Buffer): QuestionAnswer => {
  const reader = new BodyReader(bytes)
  return { request: reader.uint32(), may: reader.uint8() === 1 }
}
