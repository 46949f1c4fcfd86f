// What an executable file is, by its first bytes: format, processor and, for ELF, system and loader. Pure.

export interface ExecutableKind {
  readonly format: "ELF" | "Mach-O" | "PE"
  readonly architecture: "x64" | "arm64"
  /** ELF only: from EI_OSABI; Linux files say "System V". */
  readonly system?: "linux" | "freebsd"
  /** ELF only: PT_INTERP, which tells glibc from musl. */
  readonly loader?: string
}

const elfMachines: ReadonlyMap<number, "x64" | "arm64"> = new Map([[0x3e, "x64"], [0xb7, "arm64"]])
const machProcessors: ReadonlyMap<number, "x64" | "arm64"> = new Map([[0x0100_0007, "x64"], [0x0100_000c, "arm64"]])
const peMachines: ReadonlyMap<number, "x64" | "arm64"> = new Map([[0x8664, "x64"], [0xaa64, "arm64"]])
const elfSystems: ReadonlyMap<number, "linux" | "freebsd"> = new Map([[0, "linux"], [3, "linux"], [9, "freebsd"]])

const PT_INTERP = 3

/** `head` is the beginning of the file: 4 KB are enough. Undefined: none of these. */
export const executableKind = (head: Buffer): ExecutableKind | undefined => {
  if (head.length < 64) return undefined
  if (head.readUInt32BE(0) === 0x7f45_4c46) return elf(head)
  if (head.readUInt32LE(0) === 0xfeed_facf) { // 64 bits, little endian
    const architecture = machProcessors.get(head.readUInt32LE(4))
    return architecture === undefined ? undefined : { format: "Mach-O", architecture }
  }
  if (head.readUInt16BE(0) === 0x4d5a) return pe(head)
  return undefined
}

const elf = (head: Buffer): ExecutableKind | undefined => {
  const architecture = elfMachines.get(head.readUInt16LE(18))
  const system = elfSystems.get(head.readUInt8(7))
  if (architecture === undefined || system === undefined || head.readUInt8(4) !== 2) return undefined
  const headers = Number(head.readBigUInt64LE(32))
  const size = head.readUInt16LE(54)
  const count = head.readUInt16LE(56)
  for (let at = headers; at < headers + size * count && at + 56 <= head.length; at += size) {
    if (head.readUInt32LE(at) !== PT_INTERP) continue
    const start = Number(head.readBigUInt64LE(at + 8))
    const end = start + Number(head.readBigUInt64LE(at + 32)) - 1 // without the NUL
    return { format: "ELF", architecture, system, loader: head.toString("latin1", start, end) }
  }
  return { format: "ELF", architecture, system }
}

const pe = (head: Buffer): ExecutableKind | undefined => {
  const at = head.readUInt32LE(0x3c)
  if (at + 6 > head.length || head.readUInt32BE(at) !== 0x5045_0000) return undefined
  const architecture = peMachines.get(head.readUInt16LE(at + 4))
  return architecture === undefined ? undefined : { format: "PE", architecture }
}
