#!/bin/bash
# deploy/try.sh [RUN OPTION]...
#
# Sets up audiomon in this checkout if it is not yet, then listens and prints what it hears: through the microphone, or,
# where there is none, in the sample recording of the model.
#
# The first start makes .venv/ from the system's Python and installs what is missing. Debian packages are installed with
# apt (through sudo) only if a system library is absent. Later starts just run. Remove .venv/ to undo it all.
#
# Every option goes to `audiomon run`; `deploy/try.sh --json` for one. Ctrl-C ends it.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=environment.sh
. "$(dirname "$(realpath "$0")")/environment.sh"

venv=$checkout/.venv

case "${1:-}" in
  -h | --help)
    print_head_comment
    [ ! -x "$venv/bin/audiomon" ] || exec "$venv/bin/audiomon" run --help
    exit 0
    ;;
esac

if ! environment_is_current "$venv" "$system_python" ""; then
  [ -x "$system_python" ] || install_packages python3 || exit 1
  require_python "$system_python"
  mapfile -t packages < <(runtime_packages "$system_python")
  install_packages "${packages[@]}" || exit 1
  make_environment "$venv" "$system_python" ""
  say "ready; the next start needs none of this"
fi
exec "$venv/bin/audiomon" run --or-sample "$@"
