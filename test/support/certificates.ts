// The certificates of scripts/test-ca.sh, made once for each test file. Where openssl is not installed, tests skip and say so.
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"

/** The reason to skip; undefined: openssl is there. */
export const opensslMissing: string | undefined = spawnSync("openssl", ["version"]).error === undefined
  ? undefined
  : "openssl not found"

export type CertificateName = "ca" | "server" | "other" | "client" | "revoked" | "stranger"

export class Certificates {
  readonly folder = mkdtempSync(join(tmpdir(), "emqttd-ca-"))

  constructor() {
    const script = resolve(import.meta.dirname, "../../scripts/test-ca.sh")
    const made = spawnSync("sh", [script, this.folder])
    if (made.status !== 0) throw new Error(`test-ca.sh: ${made.stderr}`)
    process.once("exit", () => rmSync(this.folder, { recursive: true, force: true }))
  }

  file(name: string): string {
    return join(this.folder, name)
  }

  text(name: string): string {
    return readFileSync(this.file(name), "utf8")
  }

  pair(name: CertificateName): { readonly certificate: string; readonly key: string } {
    return { certificate: this.text(`${name}.crt`), key: this.text(`${name}.key`) }
  }
}

let made: Certificates | undefined
export const certificates = (): Certificates => made ??= new Certificates()
