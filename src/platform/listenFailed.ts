// What a failed listen was about, the same words on either runtime.
import { ListenFailed, type ListenFailure, type TcpListenOptions } from "./Tcp.ts"

const notAvailable: [ListenFailure, string] = ["AddressNotAvailable", "no interface of this machine has the address"]

const reasons: Readonly<Record<string, [ListenFailure, string]>> = {
  EADDRINUSE: ["AddressInUse", "the address is in use"],
  EACCES: ["PermissionDenied", "permission denied"],
  EPERM: ["PermissionDenied", "permission denied"],
  EADDRNOTAVAIL: notAvailable,
  // What Deno makes of EADDRNOTAVAIL.
  EINVAL: notAvailable
}

export const listenFailed = (options: TcpListenOptions, error: unknown): ListenFailed => {
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : ""
  const [reason, detail] = reasons[code] ?? ["Other", error instanceof Error ? error.message : String(error)]
  return new ListenFailed({ reason, detail, address: options.address, port: options.port })
}
