#!/bin/sh
# Installs emqttd, or a newer one over it: finds out the platform, downloads, verifies the checksum, installs. POSIX sh.
#
#   sh install.sh [--version X.Y.Z] [--prefix DIR] [--from URL-OR-DIRECTORY]
#   sh install.sh --uninstall [--prefix DIR]
#
# The prefix is /usr/local for root and ~/.local for everybody else. --from (or EMQTTD_FROM) is where SHA256SUMS and the archives
# are: a mirror, a file:// URL or a folder; without it, the project's releases. Settings and data are never touched.
set -eu

releases=https://github.com/emqttd/emqttd/releases

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

usage() { sed -n '2,8s/^# \{0,1\}//p' "$0"; }

platform() {
  system=$(uname -s) machine=$(uname -m)
  case $machine in
    x86_64 | amd64) machine=x64 ;;
    aarch64 | arm64) machine=arm64 ;;
  esac
  libc=
  if [ "$system" = Linux ] && { [ -e "/lib/ld-musl-$(uname -m).so.1" ] || ldd --version 2>&1 | grep -qi musl; }; then libc=-musl; fi
  case $system-$machine$libc in
    Linux-x64 | Linux-arm64 | Linux-x64-musl) echo "linux-$machine$libc" ;;
    Darwin-x64 | Darwin-arm64) echo "macos-$machine" ;;
    FreeBSD-x64) echo freebsd-x64 ;;
    *) fail "there is no release for $system on $machine$libc; run it from source (docs/install.md)" ;;
  esac
}

download() { # name, file
  case $from in
    file://*) cp "${from#file://}/$1" "$2" 2>/dev/null || fail "$from/$1: cannot be read" ;;
    *://*)
      if command -v curl >/dev/null; then
        curl -fsSL --retry 3 -o "$2" "$from/$1" || fail "$from/$1: not downloaded"
      elif command -v wget >/dev/null; then
        wget -q -O "$2" "$from/$1" || fail "$from/$1: not downloaded"
      elif command -v fetch >/dev/null; then
        fetch -q -o "$2" "$from/$1" || fail "$from/$1: not downloaded"
      else
        fail "needs curl, wget or fetch"
      fi
      ;;
    *) cp "$from/$1" "$2" 2>/dev/null || fail "$from/$1: cannot be read" ;;
  esac
}

sha256() {
  if command -v sha256sum >/dev/null; then
    sha256sum "$1" | cut -d' ' -f1
  elif command -v shasum >/dev/null; then
    shasum -a 256 "$1" | cut -d' ' -f1
  elif command -v sha256 >/dev/null; then
    sha256 -q "$1"
  elif command -v openssl >/dev/null; then
    openssl dgst -sha256 -r "$1" | cut -d' ' -f1
  else
    fail "needs sha256sum, shasum, sha256 or openssl to verify what was downloaded"
  fi
}

# Paper in the archive, and where it goes below the prefix; a line a file.
papers='LICENSE share/doc/emqttd/LICENSE
THIRD-PARTY-LICENSES share/doc/emqttd/THIRD-PARTY-LICENSES
emqttd.toml share/doc/emqttd/emqttd.toml
acl.config share/doc/emqttd/acl.config
man/emqttd.8 share/man/man8/emqttd.8
man/emqttd.toml.5 share/man/man5/emqttd.toml.5
completions/emqttd.bash share/bash-completion/completions/emqttd
completions/_emqttd share/zsh/site-functions/_emqttd
completions/emqttd.fish share/fish/vendor_completions.d/emqttd.fish'

version=
prefix=
from=${EMQTTD_FROM:-}
uninstall=
while [ $# -gt 0 ]; do
  case $1 in
    --version | --prefix | --from)
      [ $# -ge 2 ] || fail "$1 needs a value"
      case $1 in
        --version) version=${2#v} ;;
        --prefix) prefix=$2 ;;
        --from) from=$2 ;;
      esac
      shift 2
      ;;
    --uninstall) uninstall=yes && shift ;;
    -h | --help) usage && exit 0 ;;
    *) fail "unknown argument: $1 (--help tells what there is)" ;;
  esac
done

if [ -z "$prefix" ]; then
  if [ "$(id -u)" -eq 0 ]; then prefix=/usr/local; else prefix=${HOME:?}/.local; fi
fi

if [ -n "$uninstall" ]; then
  rm -f "$prefix/bin/emqttd"
  echo "$papers" | while read -r _ place; do rm -f "$prefix/$place"; done
  rmdir "$prefix/share/doc/emqttd" 2>/dev/null || true
  echo "removed emqttd from $prefix; settings and data are where they were"
  exit 0
fi

if [ -z "$from" ]; then
  if [ -n "$version" ]; then from=$releases/download/v$version; else from=$releases/latest/download; fi
fi
from=${from%/}

platform=$(platform)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

download SHA256SUMS "$folder/SHA256SUMS"
line=$(grep -E "^[0-9a-f]{64}  emqttd-${version:-[0-9][0-9A-Za-z.-]*}-$platform\.tar\.gz\$" "$folder/SHA256SUMS" | head -n 1)
[ -n "$line" ] || fail "$from has no emqttd ${version:+$version }for $platform"
archive=${line#*  }
download "$archive" "$folder/$archive"
got=$(sha256 "$folder/$archive")
[ "$got" = "${line%%  *}" ] || fail "$archive: the checksum is wrong (expected ${line%%  *}, got $got); nothing was installed"

tar -xzf "$folder/$archive" -C "$folder" || fail "$archive: cannot be unpacked"
unpacked=$folder/${archive%.tar.gz}
said=$("$unpacked/emqttd" --version 2>&1) || fail "it does not run here, nothing was installed: $said"

mkdir -p "$prefix/bin" || fail "$prefix/bin: cannot be made"
# Into place in one step: a broker that runs keeps its own file.
cp "$unpacked/emqttd" "$prefix/bin/.emqttd.new" 2>/dev/null || fail "$prefix/bin: cannot be written"
chmod 755 "$prefix/bin/.emqttd.new"
mv -f "$prefix/bin/.emqttd.new" "$prefix/bin/emqttd"
echo "$papers" | while read -r paper place; do
  [ -e "$unpacked/$paper" ] || continue
  mkdir -p "$prefix/${place%/*}" && cp "$unpacked/$paper" "$prefix/$place" && chmod 644 "$prefix/$place"
done

echo "installed $said as $prefix/bin/emqttd"
case :$PATH: in
  *":$prefix/bin:"*) ;;
  *) echo "note: $prefix/bin is not in PATH" ;;
esac
