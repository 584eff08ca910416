#!/bin/bash
# deploy/lock.sh [UV OPTION]...
#
# Writes the exact versions, and the checksums of every file, that install.sh takes: service.lock, plots.lock (what
# --plots adds), link.lock (what --with link adds) and build.lock (what sources are built with). Run it after a change of the dependencies; with --upgrade it
# takes newer versions in. Needs uv and a network; installs nothing.
set -euo pipefail

cd "$(dirname "$(realpath "$0")")/.."
case "${1:-}" in
  -h | --help) sed -n '2,/^[^#]/{ s/^# \{0,1\}//p; }' "$0"; exit 0 ;;
esac
command -v uv >/dev/null || { echo "lock.sh: needs uv: pip install uv" >&2; exit 1; }

# 32-bit ARM takes from Debian what it has no wheels of; see environment.sh.
debians=$(mktemp)
trap 'rm -f "$debians"' EXIT
for name in numpy cffi pyyaml systemd-python matplotlib; do
  echo "$name; platform_machine == 'x86_64' or platform_machine == 'aarch64'"
done >"$debians"

# FILE INPUT OPTION...: one version of each package, whatever the Python and the machine.
lock() {
  local file=$1
  shift
  uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --no-annotate \
    --custom-compile-command deploy/lock.sh --overrides "$debians" --output-file "$file" "$@" >/dev/null
}

# NAME: what pyproject.toml lists for an extra, one a line.
extra() {
  python3 -c 'import sys, tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]
print(*project["optional-dependencies"][sys.argv[1]], sep="\n")' "$1"
}

lock deploy/service.lock pyproject.toml --extra service "$@"
lock deploy/plots.lock - --constraints deploy/service.lock "$@" <<<matplotlib
lock deploy/link.lock - --constraints deploy/service.lock "$@" < <(extra link)
lock deploy/build.lock - "$@" <<<$'hatchling>=1.27\nsetuptools>=80\nsetuptools-scm>=8'
