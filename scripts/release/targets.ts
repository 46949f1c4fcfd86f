// The platforms a release is made for: which Bun each is built upon, and what the result has to be.
import type { ExecutableKind } from "./executableKind.ts"

export interface Target {
  /** In file names, and what scripts/install.sh works out of `uname`. */
  readonly name: string
  /** The npm package that carries Bun for it. */
  readonly runtime: string
  /** For `bun build --target`. */
  readonly bun: string
  readonly kind: ExecutableKind
}

export const targets: ReadonlyArray<Target> = [
  {
    name: "linux-x64",
    runtime: "@oven/bun-linux-x64",
    bun: "bun-linux-x64",
    kind: { format: "ELF", architecture: "x64", system: "linux", loader: "/lib64/ld-linux-x86-64.so.2" }
  },
  {
    name: "linux-arm64",
    runtime: "@oven/bun-linux-aarch64",
    bun: "bun-linux-arm64",
    kind: { format: "ELF", architecture: "arm64", system: "linux", loader: "/lib/ld-linux-aarch64.so.1" }
  },
  {
    name: "linux-x64-musl",
    runtime: "@oven/bun-linux-x64-musl",
    bun: "bun-linux-x64-musl",
    kind: { format: "ELF", architecture: "x64", system: "linux", loader: "/lib/ld-musl-x86_64.so.1" }
  },
  {
    name: "macos-arm64",
    runtime: "@oven/bun-darwin-aarch64",
    bun: "bun-darwin-arm64",
    kind: { format: "Mach-O", architecture: "arm64" }
  },
  {
    name: "macos-x64",
    runtime: "@oven/bun-darwin-x64",
    bun: "bun-darwin-x64",
    kind: { format: "Mach-O", architecture: "x64" }
  },
  {
    name: "freebsd-x64",
    runtime: "@oven/bun-freebsd-x64",
    bun: "bun-freebsd-x64",
    kind: { format: "ELF", architecture: "x64", system: "freebsd", loader: "/libexec/ld-elf.so.1" }
  },
  {
    name: "windows-x64",
    runtime: "@oven/bun-windows-x64",
    bun: "bun-windows-x64",
    kind: { format: "PE", architecture: "x64" }
  }
]

export const executableName = (target: Target): string => target.kind.format === "PE" ? "emqttd.exe" : "emqttd"
