# Sourced by the scripts beside it: which Python, which Debian packages, and a virtual environment made from them.
# It defines functions and changes nothing by being read. What is already there is never installed again, and no
# Debian package is ever removed.
# shellcheck shell=bash

# The checkout that the scripts belong to, without symbolic links.
checkout=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")
script=${0##*/}
# Not whichever python3 comes first on PATH: pyenv's, for one, lives in a home that a service may not enter.
# shellcheck disable=SC2034 # the scripts that source this use it
system_python=/usr/bin/python3

# A line about what happens now. On stderr: stdout belongs to what the script runs.
say() { printf '%s: %s\n' "$script" "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

# COMMAND...: run it without a word; if it fails, show the end of what it said.
quietly() {
  local output status=0
  output=$("$@" 2>&1 </dev/null) || status=$?
  [ "$status" -eq 0 ] || tail -n 30 <<<"$output" >&2
  return "$status"
}

# The comment of this name at the head of the script, as its --help.
print_head_comment() { sed -n '2,/^[^#]/{ s/^# \{0,1\}//p; }' "$0"; }

# amd64, arm64, armhf: the userland's. A Pi's 64-bit kernel often carries a 32-bit userland, so `uname -m` does not tell.
architecture() { dpkg --print-architecture 2>/dev/null || uname -m; }

# PYTHON: "3.11", or nothing where it cannot run (a pyenv shim without its version, for one).
python_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

# PYTHON: stop with the reason where audiomon cannot run on it.
require_python() {
  local version
  version=$(python_version "$1") || fail "$1 does not run; install python3 (3.11 or newer) and start again"
  case "$version" in
    2.* | 3.[0-9] | 3.10) fail "$1 is Python $version; audiomon needs 3.11 or newer, as in Debian 12 (Bookworm) and later" ;;
  esac
  if [ "$(architecture)" = armhf ] && [ "$version" != 3.11 ]; then
    fail "$1 is Python $version, and TFLite for 32-bit ARM exists only for 3.11: use a 64-bit system, or Bookworm"
  fi
}

# PYTHON: the Debian packages that audiomon needs, one a line. 32-bit ARM has no wheels for what is compiled: Debian's
# builds are used there, and msgspec, which Debian lacks, is compiled.
runtime_packages() {
  echo libportaudio2
  "$1" -c 'import ensurepip' 2>/dev/null || echo python3-venv
  if [ "$(architecture)" = armhf ]; then
    printf '%s\n' python3-numpy python3-cffi python3-yaml libsndfile1 gcc libc6-dev python3-dev
  fi
}

# The Debian packages that the systemd service needs besides, one a line: systemd-python has no wheels. 32-bit ARM takes
# Debian's build of it, elsewhere it is compiled.
service_packages() {
  if [ "$(architecture)" = armhf ]; then
    echo python3-systemd
  else
    printf '%s\n' gcc libc6-dev pkg-config python3-dev libsystemd-dev
  fi
}

# The Debian packages that drawing needs besides, one a line: 32-bit ARM has no wheels of matplotlib.
plots_packages() { [ "$(architecture)" != armhf ] || echo python3-matplotlib; }

# VERSION ("3.11"): the first Python of that version that runs: the system's, one on PATH, one of pyenv's.
find_python() {
  local candidate
  while read -r candidate; do
    if [ "$(python_version "$candidate")" = "$1" ]; then
      echo "$candidate"
      return
    fi
  done < <(
    echo "/usr/bin/python$1"
    type -ap "python$1"
    printf '%s\n' "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$1".*/bin/"python$1"
  )
  return 1
}

# PACKAGE...: those that are not installed, one a line. Nothing where there is no dpkg to ask.
missing_packages() {
  local package
  command -v dpkg-query >/dev/null || return 0
  for package; do
    # an asterisk, for a package may be there for two architectures
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) = installed* ]] || echo "$package"
  done
}

# COMMAND...: as root, through sudo if need be; false where that is not possible.
as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

can_become_root() {
  [ "$(id -u)" -eq 0 ] && return
  command -v sudo >/dev/null || return
  sudo -n true 2>/dev/null || { : </dev/tty; } 2>/dev/null # without a password, or with somebody to type it
}

# PACKAGE...: install those that are missing with apt; false, after saying what to do by hand, where that fails.
install_packages() {
  local missing apt_get
  mapfile -t missing < <(missing_packages "$@" | sort -u)
  [ "${#missing[@]}" -gt 0 ] || return 0
  if ! can_become_root; then
    say "these Debian packages are missing, and installing them needs root. Install them, then start again:"
    say "  apt-get install ${missing[*]}"
    return 1
  fi
  say "installing Debian packages: ${missing[*]}"
  apt_get=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300)
  # Old package lists name versions that are gone; a failure here matters only if the installation then fails.
  quietly as_root "${apt_get[@]}" update || say "the package lists could not be refreshed; going on with the old ones"
  quietly as_root "${apt_get[@]}" install --no-remove --no-install-recommends "${missing[@]}" || {
    say "apt-get could not install them (its last words are above). Install them by hand, then start again:"
    say "  apt-get install ${missing[*]}"
    return 1
  }
}

# DIR PYTHON EXTRAS: what an environment was made from: first a line on Python, then one on the packages.
environment_stamp() {
  printf '%s %s\n' "$(realpath "$2")" "$1"
  printf '%s %s\n' "$3" "$(cat "$checkout/pyproject.toml" "$checkout/deploy/environment.sh" | sha256sum)"
}

# DIR PYTHON EXTRAS: whether it is there, whole, and still what would be made today.
environment_is_current() {
  [ -x "$1/bin/python" ] && [ "$(cat "$1/audiomon-stamp" 2>/dev/null)" = "$(environment_stamp "$@")" ]
}

# DIR PYTHON EXTRAS: make the virtual environment DIR with the checkout in it (editable: its files are what runs) and
# the extras named, as in "test,dev". Nothing happens where it is current; one that was left half-made is made again.
make_environment() {
  environment_is_current "$@" && return
  {
    flock 9 # a second start waits for the first one's set-up, and then finds it done
    environment_is_current "$@" || _make_environment "$@"
  } 9<"$checkout"
}

_make_environment() {
  local dir=$1 python=$2 extras=$3 stamp old_python venv_options=()
  stamp=$(environment_stamp "$@")
  old_python=$(head -n 1 "$dir/audiomon-stamp" 2>/dev/null || true)
  if [ -e "$dir" ] && [ ! -e "$dir/made-by-audiomon" ]; then
    fail "$dir exists and was not made by audiomon: move it away, then start again"
  fi
  rm -f "$dir/audiomon-stamp" # only a set-up that reaches its end counts
  if [ ! -x "$dir/bin/python" ] || [ "$old_python" != "$(head -n 1 <<<"$stamp")" ]; then
    [ "$(architecture)" != armhf ] || venv_options=(--system-site-packages)
    say "making ${dir#"$checkout"/} from $python ($(python_version "$python"))"
    rm -rf "$dir"
    { mkdir "$dir" && touch "$dir/made-by-audiomon"; } || fail "cannot write to $checkout"
    quietly "$python" -m venv "${venv_options[@]}" "$dir" || fail "$python could not make a virtual environment"
  fi
  say "installing the Python packages that pyproject.toml lists${extras:+ (with $extras)} into ${dir#"$checkout"/}; this can take minutes"
  install_checkout "$dir" "$extras" ||
    fail "pip could not install them (its last words are above); start again once the reason is gone"
  printf '%s\n' "$stamp" >"$dir/audiomon-stamp"
}

# DIR EXTRAS: the checkout, editable, and the newest of what it lists; with `lowest` set, the oldest that it allows.
install_checkout() {
  local source=$checkout${2:+[$2]}
  if [ "${lowest:-}" ]; then
    pip_install "$1" uv && quietly "$1/bin/uv" pip install --python "$1/bin/python" --resolution lowest-direct -e "$source"
  else
    pip_install "$1" -e "$source"
  fi
}

# DIR SOURCE: install audiomon from SOURCE and exactly what the lock files beside this one list: pip compares each file's
# checksum, and takes no other version from anywhere. First what the sources among them are built with, since pip would
# fetch that unseen.
pip_install_locked() {
  pip_install "$1" --no-deps --require-hashes -r "$checkout/deploy/build.lock" &&
    pip_install "$1" --no-deps --require-hashes --no-build-isolation --use-pep517 -r "$checkout/deploy/service.lock" &&
    pip_install "$1" --no-deps --no-build-isolation "$2"
}

# DIR ARGUMENT...: `pip install` in an environment, whatever the user's own settings say about where pip installs to.
pip_install() {
  local dir=$1 disguise=()
  shift
  if [ "$(architecture)" = armhf ] && [ "$(uname -m)" = aarch64 ]; then
    # A 32-bit userland on a 64-bit kernel: pip would believe the kernel and ask for 64-bit wheels.
    disguise=(setarch linux32 env _PYTHON_HOST_PLATFORM=linux-armv7l)
  fi
  quietly env -u PIP_USER -u PIP_TARGET -u PIP_PREFIX -u PYTHONHOME -u PYTHONPATH "${disguise[@]}" \
    "$dir/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off "$@"
}
