#!/bin/sh
# Installs what the tests use beyond Python, where that is possible; says what is missing elsewhere.
WANTED="tmux strace nginx-light espeak-ng pulseaudio pulseaudio-utils libasound2-plugins libportaudio2 sox fonts-dejavu-core fonts-jetbrains-mono fonts-symbola"
# A Node.js that came another way conflicts with Debian's npm.
command -v npm >/dev/null 2>&1 || WANTED="$WANTED nodejs npm"

debian() {
  missing=""
  for package in $WANTED; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done
  [ -z "$missing" ] && return
  if ! command -v apt-get >/dev/null 2>&1; then
    echo "No apt-get here; the tests want the counterparts of:$missing" >&2
    return
  fi
  as_root=""
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "Please install as root: apt-get install$missing" >&2; return; }
    as_root="sudo -n"
  fi
  $as_root apt-get update -qq || true
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
    echo "Could not install:$missing" >&2
}

foreign_client() { # npm's `ws`, for a client that is not ours
  folder="$(dirname "$0")/foreign"
  [ -d "$folder/node_modules/ws" ] ||
    npm install --silent --no-audit --no-fund --no-package-lock --prefix "$folder" ||
    echo "Could not install npm's ws into $folder; its test will fail." >&2
}

debian
foreign_client
exit 0
