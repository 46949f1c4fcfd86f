// What a failed listen was about, the same words on either runtime.
import { ListenFailed, type ListenFailure, type TcpListenOptions } from "./Tcp.ts"

const notAvailable: [ListenFailure, string] = ["AddressNotAvailable", "no interface of this machine has the address"]

const nameUnknown: [ListenFailure, string] = [
  "AddressNotAvailable",
  "this is no IP address, and no host of this name is known"
]

const reasons: Readonly<Record<string, [ListenFailure, string]>> = {
  EADDRINUSE: ["AddressInUse", "the address is in use"],
  EACCES: ["PermissionDenied", "permission denied"],
  EPERM: ["PermissionDenied", "permission denied"],
  EADDRNOTAVAIL: notAvailable,
  // What Deno makes of EADDRNOTAVAIL.
  EINVAL: notAvailable,
  ENOTFOUND: nameUnknown,
  EAI_AGAIN: nameUnknown
}

export const listenFailed = (options: TcpListenOptions, error: unknown): ListenFailed => {
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : ""
  const message = error instanceof Error ? error.message : String(error)
  // Bun's word for a name that is not found.
  const unknown = code === "" && message === `Failed to listen at ${options.address}`
  const [reason, detail] = (unknown ? nameUnknown : reasons[code]) ?? ["Other", message]
  return new ListenFailed({ reason, detail, address: options.address, port: options.port })
}
