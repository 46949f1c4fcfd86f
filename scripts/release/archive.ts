// One target's archive: the executable with its papers in one folder, packed so that the same input gives the same bytes.
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { root } from "./compile.ts"
import { executableName, type Target } from "./targets.ts"

export interface ArchiveContents {
  readonly executable: string
  /** Path inside the archive, and the file or the text that goes there. */
  readonly papers: ReadonlyArray<readonly [name: string, content: string]>
}

/** Seconds since 1970: SOURCE_DATE_EPOCH, else the commit's, else the epoch itself. */
export const sourceDate = (): number => {
  const given = process.env["SOURCE_DATE_EPOCH"]
  if (given !== undefined && /^\d+$/.test(given)) return Number(given)
  const { stdout } = spawnSync("git", ["log", "-1", "--format=%ct"], { cwd: root, encoding: "utf8" })
  return /^\d+$/.test(stdout?.trim() ?? "") ? Number(stdout.trim()) : 0
}

export const archiveName = (target: Target, version: string): string => `emqttd-${version}-${target.name}.tar.gz`

/** Writes it into `folder`. */
export const writeArchive = (target: Target, version: string, contents: ArchiveContents, folder: string): string => {
  const top = `emqttd-${version}-${target.name}`
  const staging = path.join(root, "dist/staging")
  fs.rmSync(path.join(staging, top), { recursive: true, force: true })
  const put = (name: string, content: string | Buffer, mode: number) => {
    const file = path.join(staging, top, name)
    fs.mkdirSync(path.dirname(file), { recursive: true })
    fs.writeFileSync(file, content)
    fs.chmodSync(file, mode)
  }
  put(executableName(target), fs.readFileSync(contents.executable), 0o755)
  for (const [name, content] of contents.papers) put(name, content, 0o644)
  const file = path.join(folder, archiveName(target, version))
  const same = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", `--mtime=@${sourceDate()}`]
  const args = [...same, "--mode=u=rwX,go=rX", "-I", "gzip -n -6", "-cf", file, "-C", staging, top]
  const { status, stderr } = spawnSync("tar", args, { encoding: "utf8" })
  if (status !== 0) throw new Error(`tar ${args.join(" ")}: status ${status}\n${stderr}`)
  fs.rmSync(path.join(staging, top), { recursive: true, force: true })
  return file
}
