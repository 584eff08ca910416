#!/bin/bash
# deploy/test.sh [--all [--long] | --lowest | --arm] [PYTEST ARGUMENT]...
#
# Sets up what the tests need, then runs the static checks (ruff, mypy) and the tests, as in
# `deploy/test.sh tests/audio -k ring`. Exit status 0 only if everything passed. The checks and tests take about five
# minutes on two cores, the first set-up a few more.
#
#   --all      also the slow tests, and those that need the virtual microphone (PulseAudio), root with systemd, or
#              TensorFlow, on each of Python 3.11, 3.13 and 3.14 that this machine has. Installs Debian packages for them,
#              and downloads TensorFlow (2.7 GB on disk). Run it as root for those that need root. Takes about 35 minutes.
#   --long     with --all, also what takes many minutes: the Debian package, a fleet and hostile models in booted systems,
#              the container image, archives of thousands of files, Home Assistant.
#   --lowest   instead: the tests with the oldest versions that pyproject.toml allows, on Python 3.11
#   --arm      instead: count instructions in an emulated arm64 Python, and compare them with their budget; then install
#              and test in emulated userlands of a Raspberry Pi (32 and 64 bits); slow. Needs root.
#
# Without --all: the system's Python only, and of Debian packages only those that audiomon itself needs.
# The environments are .venv-test* in this checkout; remove them to undo it all.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=environment.sh
. "$(dirname "$(realpath "$0")")/environment.sh"

all='' long='' lowest=''
case "${1:-}" in
  -h | --help)
    print_head_comment
    exit 0
    ;;
  --all)
    all=yes
    shift
    if [ "${1:-}" = --long ]; then
      long=yes
      shift
    fi
    ;;
  --lowest)
    lowest=yes
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

[ "$long" ] || leave_out long "--all --long runs them"

packages=()
pythons=()
if [ "$all" ]; then
  for version in 3.11 3.13 3.14; do
    if python=$(find_python "$version"); then pythons+=("$python"); else say "no Python $version here"; fi
  done
  packages+=(libsystemd-dev gcc libc6-dev pkg-config python3-dev espeak-ng sox ffmpeg shellcheck strace zstd rsync)
  packages+=(mosquitto mosquitto-clients chromium chromium-driver qemu-user mmdebstrap)
  if [ "$long" ]; then
    packages+=(lintian buildah minisign ansible-core systemd-journal-remote prometheus nginx-light caddy)
    packages+=(python3-gst-1.0 gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{base,good,bad} gstreamer1.0-libav)
  else
    leave_out prometheus "--all --long runs them"
  fi
  if [ -n "$(missing_packages pulseaudio)" ] && [ -z "$(missing_packages pipewire-pulse)" ]; then
    leave_out mic "PulseAudio would take the place of this machine's pipewire-pulse"
  else
    packages+=(pulseaudio pulseaudio-utils libasound2-plugins)
  fi
  [ "$(id -u)" -eq 0 ] || leave_out root "start this as root to run them"
else
  leave_out mic "--all runs them"
  leave_out root "--all runs them"
  [ "$lowest" ] || leave_out slow "--all runs them"
  for marker in tensorflow archive chromium prometheus homeassistant arm64; do leave_out "$marker" "--all runs them"; done
fi
if [ "$lowest" ]; then
  pythons=("$(find_python 3.11)") || fail "--lowest needs Python 3.11: newer ones have no wheels of versions that old"
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
  extras=test,oracle,dev,link,tflite-runtime
  [ -z "$lowest" ] || extras="test,link"
  if [ "$all" ]; then
    extras+=,service
    # TensorFlow once is enough: what it makes, the other Python reads.
    # Archives want NumPy 2, which tflite-runtime, in the first, does not.
    if [ "${#environments[@]}" -gt 0 ]; then extras+=,archive,archive-test; else extras+=,lab; fi
  fi
  environments+=("$checkout/.venv-test${all:+-all}${lowest:+-lowest}-$(python_version "$python")")
  make_environment "${environments[-1]}" "$python" "$extras"
done

failed=()
check() {
  say "$*"
  "${environments[0]}/bin/python" -m "$@" || failed+=("$*")
}
if [ -z "$lowest" ]; then
  check ruff check .
  check ruff format --check .
  check mypy
fi

log=$(mktemp)
trap 'rm -f "$log" "$log.summary" "$log.passed"' EXIT
colour=no
[ ! -t 1 ] || colour=yes
last='' ran=''

# EXPRESSION PYTEST ARGUMENT...: run the tests with these markers in $environment. A failure's summary is kept.
run_tests() {
  local expression=$1 status=0 name
  shift
  say "pytest with ${environment##*/}: $expression"
  "$environment/bin/python" -m pytest --color="$colour" -m "$expression" "$@" 2>&1 | tee "$log" || status=$?
  last=$status
  case "$status" in
    0)
      ran=1
      tail -n 1 "$log" >"$log.passed"
      ;;
    5) ;; # none of the tests that were asked for
    *)
      ran=1
      name="pytest with ${environment##*/}"
      [[ " ${failed[*]} " == *" $name "* ]] || failed+=("$name")
      # from the last one on: a test that runs pytest shows another
      awk '/=== .*short test summary info/ { kept = "" } { kept = kept $0 "\n" } END { printf "%s", kept }' "$log" \
        >"$log.summary"
      ;;
  esac
}

for environment in "${environments[@]}"; do
  # the first environment alone has TensorFlow; a browser looks at the page once, and instructions are counted once
  without=()
  [ "$environment" = "${environments[0]}" ] || without=(tensorflow chromium arm64)
  # One at a time where tests share the sound server or the system; all others in parallel.
  if [ "$all" ]; then
    expression=$(selection "${without[@]}")
    run_tests "(mic or root)${expression:+ and $expression}" "$@"
    without+=(mic root)
  fi
  run_tests "$(selection "${without[@]}")" -n auto --dist loadscope "$@"
done

[ "$ran" ] || failed+=("pytest: no test was selected")
if [ "${#failed[@]}" -eq 0 ]; then
  [ "$last" -eq 0 ] || cat "$log.passed" # the last run had nothing to do
  exit 0
fi
if [ "$last" -eq 0 ] || [ "$last" -eq 5 ]; then
  # What stands last must not be the success of the last run: the summary of the failed one is repeated.
  say "failed: $(printf '%s; ' "${failed[@]}" | sed 's/; $//')"
  if [ -e "$log.summary" ]; then cat "$log.summary"; else tail -n 1 "$log"; fi
fi
exit 1
