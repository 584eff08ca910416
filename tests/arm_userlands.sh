#!/bin/bash
# arm_userlands.sh [NAME]...   what `deploy/test.sh --arm` runs
#
# Installs audiomon with its own installer in the userlands of a Raspberry Pi, emulated: arm64-bookworm, arm64-trixie and
# armhf-bookworm, or those named. In each it checks the model, classifies the sample recording, and runs the tests of
# the ring, the sources, the front end, the models and the pipeline. Ends with a line for each: the result and the time.
#
# The instruction sets and packages are a Pi's; the time is not. The first run makes the roots, which takes some minutes
# each, in .arm/ of the checkout ($AUDIOMON_ARM_ROOTS names another folder); they are only read afterwards.
# Needs root and Debian; installs qemu-user-static and mmdebstrap.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
# shellcheck source-path=SCRIPTDIR/../deploy source=environment.sh
. "$here/../deploy/environment.sh"

roots=${AUDIOMON_ARM_ROOTS:-$checkout/.arm}
tests=(tests/audio/test_ring.py tests/audio/test_mono.py tests/audio/test_file.py tests/features tests/pipeline tests/models)

# Handlers for aarch64 and arm, which the kernel forgets when it restarts.
register_emulators() {
  local arch
  mountpoint -q /proc/sys/fs/binfmt_misc || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  for arch in aarch64 arm; do
    [ -e "/proc/sys/fs/binfmt_misc/qemu-$arch" ] || tr -d '\n' <"/usr/lib/binfmt.d/qemu-$arch.conf" >/proc/sys/fs/binfmt_misc/register
  done
}

# ROOT ARCH SUITE: make a minimal Debian from this machine's own package sources.
make_root() {
  local sources
  sources=$(mktemp --suffix .sources)
  # the security suite's index for another architecture can lag behind, and is left out
  sed "s/bookworm/$3/g" /etc/apt/sources.list.d/debian.sources | awk -v RS= -v ORS='\n\n' '!/security/' >"$sources"
  quietly mmdebstrap --arch="$2" --variant=minbase --aptopt='Acquire::Check-Valid-Until "false"' \
    --include=ca-certificates,procps,python3,systemd "$3" "$1" "$sources"
  rm "$sources"
}

# ROOT: install and test in a throw-away layer over it.
try_root() {
  # shellcheck disable=SC2016  # meant for the inner shell
  unshare --mount bash -euc '
    root=$1 checkout=$2 cpuinfo=$3; shift 3
    layer=$(mktemp -d); mount -t tmpfs tmpfs "$layer"; mkdir "$layer"/{up,work,root}
    mount -t overlay overlay -o "lowerdir=$root,upperdir=$layer/up,workdir=$layer/work" "$layer/root"
    cd "$layer/root"
    cp /etc/resolv.conf /etc/hosts etc/
    cp /etc/ssl/certs/ca-certificates.crt etc/ssl/host-ca.crt
    mkdir -p root/audiomon
    (cd "$checkout" && git -c safe.directory="*" ls-files -coz --exclude-standard | xargs -0 cp --parents -t "$OLDPWD/root/audiomon" 2>/dev/null) || true
    mount -t proc proc proc
    mount --bind "$cpuinfo" proc/cpuinfo # libraries choose their kernels by it, and crash on that of another processor
    mount -t sysfs -o ro sysfs sys
    mount --rbind /dev dev
    cpu=cortex-a53; [ "$(chroot . dpkg --print-architecture)" = arm64 ] || cpu=cortex-a7 # qemu-arm knows no cortex-a53
    exec env -i HOME=/root LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin QEMU_CPU=$cpu \
      PIP_CERT=/etc/ssl/host-ca.crt SSL_CERT_FILE=/etc/ssl/host-ca.crt PIP_DEFAULT_TIMEOUT=180 \
      chroot . bash -euc "
        cd /root/audiomon
        deploy/install.sh --no-start
        audiomon --version
        audiomon check --no-device
        audiomon classify /usr/local/share/audiomon/models/home/sample.flac
        python=/opt/audiomon/current/bin/python
        \$python -m pip install --quiet --disable-pip-version-check pytest pytest-timeout hypothesis
        # much slower than a Pi: no limit on a single test
        \$python -m pytest -q --timeout 0 -m \"not mic and not root and not tensorflow\" $*
      "' try_root "$1" "$checkout" "$here/cpuinfo.pi3" "${tests[@]}"
}

[ "$(id -u)" -eq 0 ] || fail "needs root, to change into another system's files"
install_packages qemu-user-static qemu-user mmdebstrap arch-test uidmap gcc || exit 1
register_emulators
mkdir -p "$roots"
results=()
if [ $# -eq 0 ]; then
  say "counting instructions"
  [ -x "$roots/counting/bin/python" ] || quietly "$system_python" -m venv "$roots/counting"
  result=passed
  (cd "$checkout" && AUDIOMON_ARM_ROOTS=$roots "$roots/counting/bin/python" -m tests.instructions) || result=FAILED
  results+=("$(printf '%-16s %s' instructions "$result")")
fi
[ $# -gt 0 ] || set -- arm64-bookworm arm64-trixie armhf-bookworm
for name; do
  if [ ! -d "$roots/$name" ]; then
    say "making $roots/$name; this takes some minutes"
    rm -rf "$roots/$name.part" # one that was not finished
    make_root "$roots/$name.part" "${name%-*}" "${name#*-}"
    mv "$roots/$name.part" "$roots/$name"
  fi
  say "installing and testing in $name"
  began=$SECONDS result=passed
  try_root "$roots/$name" || result=FAILED
  results+=("$(printf '%-16s %s in %d s' "$name" "$result" $((SECONDS - began)))")
done
printf '%s\n' "${results[@]}"
[[ "${results[*]}" != *FAILED* ]]
