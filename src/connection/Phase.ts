// Where a connection stands between accept and close, and how it may end.

/** Frames are read in AwaitingConnect and Connected; in Opening and Waiting the answer of the session is awaited. */
export const Phase = { AwaitingConnect: 0, Opening: 1, Connected: 2, Waiting: 3, Closed: 4 } as const
export type Phase = (typeof Phase)[keyof typeof Phase]

/** How a connection ended, for its log line and its session. */
export interface Ending {
  readonly publishWill: boolean
  /** Changed by DISCONNECT; undefined: as CONNECT said. */
  readonly expiryMillis: number | undefined
}

export const withoutDisconnect: Ending = { publishWill: true, expiryMillis: undefined }
