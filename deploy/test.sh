#!/bin/bash
# deploy/test.sh [--all | --arm] [PYTEST ARGUMENT]...
#
# Sets up what the tests need, then runs the static checks (ruff, mypy) and the tests, as in
# `deploy/test.sh tests/audio -k ring`. Exit status 0 only if everything passed.
#
#   --all   also the tests that need the virtual microphone (PulseAudio), root with systemd, or TensorFlow, on each of
#           Python 3.11 and 3.13 that this machine has. Installs Debian packages for them, and downloads TensorFlow.
#           Run it as root for those that need root.
#   --arm   instead: install and test in emulated userlands of a Raspberry Pi (32 and 64 bits); slow. Needs root.
#
# Without --all: the system's Python only, and of Debian packages only those that audiomon itself needs.
# The environments are .venv-test* in this checkout; remove them to undo it all.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=environment.sh
. "$(dirname "$(realpath "$0")")/environment.sh"

all=
case "${1:-}" in
  -h | --help)
    print_head_comment
    exit 0
    ;;
  --all)
    all=yes
    shift
    ;;
  --arm)
    shift
    exec "$checkout/tests/arm_userlands.sh" "$@"
    ;;
esac
cd "$checkout"

# Tests are left out by marker; each line is "marker: why", and is said.
left_out=()
leave_out() {
  left_out+=("$1")
  say "leaving out the tests marked $1: $2"
}

# The marker expression for pytest, with any further markers given.
selection() {
  local expression
  expression=$(printf ' and not %s' "${left_out[@]}" "$@")
  [ "$expression" = ' and not ' ] || echo "${expression# and }"
}

packages=()
pythons=()
if [ "$all" ]; then
  for version in 3.11 3.13; do
    if python=$(find_python "$version"); then pythons+=("$python"); else say "no Python $version here"; fi
  done
  packages+=(libsystemd-dev gcc libc6-dev pkg-config python3-dev espeak-ng sox shellcheck strace)
  if [ -n "$(missing_packages pulseaudio)" ] && [ -z "$(missing_packages pipewire-pulse)" ]; then
    leave_out mic "PulseAudio would take the place of this machine's pipewire-pulse"
  else
    packages+=(pulseaudio pulseaudio-utils libasound2-plugins)
  fi
  [ "$(id -u)" -eq 0 ] || leave_out root "start this as root to run them"
else
  leave_out mic "--all runs them"
  leave_out root "--all runs them"
  leave_out tensorflow "--all runs them"
fi
[ "${#pythons[@]}" -gt 0 ] || pythons=("$system_python")

for python in "${pythons[@]}"; do
  require_python "$python"
  mapfile -t -O "${#packages[@]}" packages < <(runtime_packages "$python")
done
install_packages "${packages[@]}" || exit 1

# Everything is set up before anything runs, so that a test's failure is never mistaken for a set-up's.
environments=()
for python in "${pythons[@]}"; do
  extras=test,dev,tflite-runtime
  if [ "$all" ]; then
    extras+=,service
    # TensorFlow once is enough: what it makes, the other Python reads.
    # Archives want NumPy 2, which tflite-runtime, in the first, does not.
    if [ "${#environments[@]}" -gt 0 ]; then extras+=,archive,archive-test; else extras+=,lab; fi
  fi
  environments+=("$checkout/.venv-test${all:+-all}-$(python_version "$python")")
  make_environment "${environments[-1]}" "$python" "$extras"
done

failed=()
check() {
  say "$*"
  "${environments[0]}/bin/python" -m "$@" || failed+=("$*")
}
check ruff check .
check ruff format --check .
check mypy

log=$(mktemp)
trap 'rm -f "$log" "$log.summary"' EXIT
colour=no
[ ! -t 1 ] || colour=yes
for environment in "${environments[@]}"; do
  # the first environment alone has TensorFlow
  if [ "$environment" = "${environments[0]}" ]; then expression=$(selection); else expression=$(selection tensorflow); fi
  say "pytest with ${environment##*/}"
  passed=yes
  "$environment/bin/python" -m pytest --color="$colour" -m "$expression" "$@" 2>&1 | tee "$log" || passed=
  if [ ! "$passed" ]; then
    failed+=("pytest with ${environment##*/}")
    # from the last one on: a test that runs pytest shows another
    tac "$log" | sed '/=== .*short test summary info/q' | tac >"$log.summary"
  fi
done

[ "${#failed[@]}" -gt 0 ] || exit 0
if [ "$passed" ]; then
  # What stands last must not be the success of the last run: the summary of the failed one is repeated.
  say "failed: $(printf '%s; ' "${failed[@]}" | sed 's/; $//')"
  if [ -e "$log.summary" ]; then cat "$log.summary"; else tail -n 1 "$log"; fi
fi
exit 1
