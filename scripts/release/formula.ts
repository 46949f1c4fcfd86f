// The Homebrew formula of a release, made of its checksums. Pure.
import { targets } from "./targets.ts"

const releases = "https://github.com/emqttd/emqttd/releases/download"

/** Homebrew's names of system and processor, and our target. */
const places = [
  ["macos", "arm", "macos-arm64"],
  ["macos", "intel", "macos-x64"],
  ["linux", "arm", "linux-arm64"],
  ["linux", "intel", "linux-x64"]
] as const

/** `checksums` is the text of SHA256SUMS; undefined when it lacks one of the four archives. */
export const formulaOf = (version: string, checksums: string): string | undefined => {
  const sums = new Map(checksums.trim().split("\n").map((line) => [line.slice(66), line.slice(0, 64)]))
  const blocks: Array<string> = []
  for (const system of ["macos", "linux"]) {
    const inner: Array<string> = []
    for (const [on, processor, name] of places) {
      if (on !== system || !targets.some((target) => target.name === name)) continue
      const archive = `emqttd-${version}-${name}.tar.gz`
      const sum = sums.get(archive)
      if (sum === undefined) return undefined
      inner.push(
        `    on_${processor} do`,
        `      url "${releases}/v${version}/${archive}"`,
        `      sha256 "${sum}"`,
        "    end"
      )
    }
    blocks.push(`  on_${system} do`, ...inner, "  end", "")
  }
  return [
    "class Emqttd < Formula",
    '  desc "MQTT broker, versions 3.1, 3.1.1 and 5"',
    '  homepage "https://github.com/emqttd/emqttd"',
    `  version "${version}"`,
    '  license "MIT"',
    "",
    ...blocks,
    "  def install",
    '    bin.install "emqttd"',
    '    man8.install "man/emqttd.8"',
    '    man5.install "man/emqttd.toml.5"',
    '    bash_completion.install "completions/emqttd.bash" => "emqttd"',
    '    zsh_completion.install "completions/_emqttd"',
    '    fish_completion.install "completions/emqttd.fish"',
    '    (etc/"emqttd").install "acl.config", "emqttd.toml"',
    '    doc.install "THIRD-PARTY-LICENSES"',
    "  end",
    "",
    "  def post_install",
    '    (var/"lib/emqttd").mkpath',
    "  end",
    "",
    "  service do",
    '    run [opt_bin/"emqttd", "--config", etc/"emqttd/emqttd.toml", "--data", var/"lib/emqttd"]',
    "    keep_alive crashed: true",
    '    working_dir var/"lib/emqttd"',
    '    error_log_path var/"log/emqttd.log"',
    "  end",
    "",
    "  test do",
    '    assert_match version.to_s, shell_output("#{bin}/emqttd --version")',
    '    assert_match "ok", shell_output("#{bin}/emqttd check --config #{etc}/emqttd/emqttd.toml")',
    "  end",
    "end",
    ""
  ].join("\n")
}
