// What a Linux package puts where: one list for the .deb and the .rpm. Invariant: only the files of
// /etc/emqttd are the operator's.
import * as fs from "node:fs"
import * as path from "node:path"
import { gzipSync } from "node:zlib"
import { root } from "./compile.ts"
import type { Paper } from "./papers.ts"

export interface PackagedFile {
  /** From the root of the file system. */
  readonly place: string
  readonly content: string | Buffer
  readonly mode: number
}

export const settingsPlace = "/etc/emqttd/emqttd.toml"
export const rulesPlace = "/etc/emqttd/acl.config"
/** Not replaced by an upgrade once they are changed. */
export const operatorsPlaces: ReadonlyArray<string> = [rulesPlace, settingsPlace]

/** The manual with the one setting that a package changes. */
export const packagedSettings = (manual: string): string => {
  const changed = manual.replace(/^#data_dir = .*$/m, 'data_dir = "/var/lib/emqttd"')
  if (changed === manual) throw new Error("etc/emqttd.toml has no line #data_dir = …")
  return changed
}

export const packageTree = (executable: string, papers: ReadonlyArray<Paper>): ReadonlyArray<PackagedFile> => {
  const paper = (name: string): string => {
    const found = papers.find(([known]) => known === name)
    if (found === undefined) throw new Error(`no paper ${name}`)
    return found[1]
  }
  const read = (file: string): Buffer => fs.readFileSync(path.join(root, file))
  const text = (place: string, content: string | Buffer): PackagedFile => ({ place, content, mode: 0o644 })
  return [
    { place: "/usr/bin/emqttd", content: fs.readFileSync(executable), mode: 0o755 },
    text("/usr/lib/systemd/system/emqttd.service", read("packaging/emqttd.service")),
    text(rulesPlace, paper("acl.config")),
    text(settingsPlace, packagedSettings(paper("emqttd.toml"))),
    text("/usr/share/man/man8/emqttd.8.gz", gzipSync(paper("man/emqttd.8"), { level: 9 })),
    text("/usr/share/man/man5/emqttd.toml.5.gz", gzipSync(paper("man/emqttd.toml.5"), { level: 9 })),
    text("/usr/share/bash-completion/completions/emqttd", paper("completions/emqttd.bash")),
    text("/usr/share/zsh/vendor-completions/_emqttd", paper("completions/_emqttd")),
    text("/usr/share/fish/vendor_completions.d/emqttd.fish", paper("completions/emqttd.fish")),
    text("/usr/share/doc/emqttd/copyright", paper("LICENSE")),
    text("/usr/share/doc/emqttd/THIRD-PARTY-LICENSES", paper("THIRD-PARTY-LICENSES")),
    text("/usr/share/doc/emqttd/changelog.gz", gzipSync(read("CHANGELOG.md"), { level: 9 }))
  ]
}

/** Written below `folder`. */
export const writeTree = (tree: ReadonlyArray<PackagedFile>, folder: string): void => {
  for (const { content, mode, place } of tree) {
    const file = path.join(folder, place)
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o755 })
    fs.writeFileSync(file, content)
    fs.chmodSync(file, mode)
  }
}
