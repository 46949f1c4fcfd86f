// Datagrams to a Unix socket, for the service manager's notifications: node:dgram has no AF_UNIX on either runtime, so libc is called.
// Used by cli/systemd.ts. Invariant: it never waits and never throws; a datagram that cannot be sent is told by `false`.

/** Linux: AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, MSG_DONTWAIT | MSG_NOSIGNAL. */
const AF_UNIX = 1
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000
/** sizeof(struct sockaddr_un): the family and 108 bytes of path. */
const PATH_OFFSET = 2
const PATH_MAXIMUM = 108

const libraries = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libc.so"]

interface Libc {
  readonly socket: (family: number, type: number, protocol: number) => number
  readonly sendto: (descriptor: number, data: Uint8Array<ArrayBuffer>, address: Uint8Array<ArrayBuffer>) => number
  readonly close: (descriptor: number) => void
}

interface DenoFfi {
  readonly dlopen: (library: string, symbols: object) => {
    readonly symbols: { readonly [name: string]: (...args: ReadonlyArray<unknown>) => unknown }
  }
}

const openOnBun = (library: string): Libc => {
  const ffi = process.getBuiltinModule("bun:ffi") as typeof import("bun:ffi")
  const { symbols } = ffi.dlopen(library, {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
    close: { args: ["i32"], returns: "i32" }
  })
  return {
    socket: symbols.socket,
    sendto: (descriptor, data, address) =>
      Number(
        symbols.sendto(descriptor, ffi.ptr(data), data.length, MSG_DONTWAIT_NOSIGNAL, ffi.ptr(address), address.length)
      ),
    close: symbols.close
  }
}

const openOnDeno = (deno: DenoFfi, library: string): Libc => {
  const { symbols } = deno.dlopen(library, {
    socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
    sendto: { parameters: ["i32", "buffer", "usize", "i32", "buffer", "u32"], result: "isize" },
    close: { parameters: ["i32"], result: "i32" }
  })
  return {
    socket: (...args) => Number(symbols["socket"]?.(...args)),
    sendto: (descriptor, data, address) =>
      Number(
        symbols["sendto"]?.(descriptor, data, BigInt(data.length), MSG_DONTWAIT_NOSIGNAL, address, address.length)
      ),
    close: (descriptor) => void symbols["close"]?.(descriptor)
  }
}

const openLibc = (): Libc | undefined => {
  const deno = Reflect.get(globalThis, "Deno") as DenoFfi | undefined
  for (const library of libraries) {
    try {
      return deno === undefined ? openOnBun(library) : openOnDeno(deno, library)
    } catch {
      // Not this C library, or no permission to call one: the next, or none.
    }
  }
  return undefined
}

/** A path, or `@` and a name in the abstract namespace; undefined when it is too long or neither. */
export const socketAddress = (target: string): Uint8Array<ArrayBuffer> | undefined => {
  const name = new TextEncoder().encode(target)
  const isAbstract = target.startsWith("@")
  if ((!isAbstract && !target.startsWith("/")) || name.length >= PATH_MAXIMUM) return undefined
  const address = new Uint8Array(PATH_OFFSET + name.length + (isAbstract ? 0 : 1)) // an abstract name has no NUL at its end
  new Uint16Array(address.buffer, 0, 1)[0] = AF_UNIX
  address.set(name, PATH_OFFSET)
  if (isAbstract) address[PATH_OFFSET] = 0
  return address
}

/** Sends one datagram; whether the kernel took it. */
export type Notify = (text: string) => boolean

/** Undefined where there is no such address, or no libc to be called (Windows, Deno without --allow-ffi). */
export const notifySocket = (target: string): Notify | undefined => {
  const address = socketAddress(target)
  const libc = address === undefined || process.platform !== "linux" ? undefined : openLibc()
  if (address === undefined || libc === undefined) return undefined
  return (text) => {
    const data = new TextEncoder().encode(text)
    const descriptor = libc.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0)
    if (descriptor < 0) return false
    const sent = libc.sendto(descriptor, data, address)
    libc.close(descriptor)
    return sent === data.length
  }
}
