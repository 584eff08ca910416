#!/bin/bash
# boot_systemd.sh [-r ROOT] [-u UNIT] [-b SRC:DST]... [--] COMMAND [ARG...]
#
# Boots a real systemd (PID 1 of its own PID namespace) with journald, runs COMMAND
# inside it, powers it off, and exits with COMMAND's status.
#   -r ROOT     directory used read-only as the root (default: /, the host's own root)
#   -u UNIT     boot target (default: basic.target, so no host service is started)
#   -b SRC:DST  bind-mount SRC of the host at DST inside, writable
# All writes go to a tmpfs overlay and are gone afterwards; /tmp, /run and /dev start empty
# (a checkout under /tmp needs -b), the rest of ROOT shows. The network namespace is the
# host's. The environment of the caller reaches COMMAND, but not systemd's own services.
# Needs: root, bash, util-linux (unshare, nsenter), overlayfs; systemd inside ROOT.
set -euo pipefail

root=/ unit=basic.target binds=()
while getopts r:u:b: o; do
  case $o in
    r) root=$(realpath "$OPTARG") ;;
    u) unit=$OPTARG ;;
    b) binds+=("$OPTARG") ;;
    *) exit 2 ;;
  esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { sed -n '2,/^set/{/^#/p}' "$0" >&2; exit 2; }

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }
say() { echo "boot_systemd.sh: $*" >&2; }

work=$(mktemp -d /tmp/sdboot.XXXXXX)     # on the host: stays an empty directory
cg=$(basename "$work")
# The host's v1 controllers, its name=systemd tree and its cgroup2 tree ("hybrid").
ctl=()
for c in cpu cpuacct cpuset memory devices blkio freezer pids systemd unified; do
  if mountpoint -q /sys/fs/cgroup/$c; then ctl+=("$c"); fi
done
[ ${#ctl[@]} -gt 0 ] || { say "no v1/hybrid cgroup mounts under /sys/fs/cgroup"; exit 2; }

outer='' pid1=''
cleanup() {
  trap - EXIT INT TERM
  local t; t=$(now)
  if [ -n "$outer" ] && kill -0 "$outer" 2>/dev/null; then
    [ -n "$pid1" ] && kill -s RTMIN+4 "$pid1" 2>/dev/null || true   # = systemctl poweroff
    for _ in $(seq 300); do kill -0 "$outer" 2>/dev/null || break; sleep 0.1; done
    if kill -0 "$outer" 2>/dev/null; then
      say "no clean poweroff in 30 s: killing"
      kill -9 "${pid1:-$outer}" 2>/dev/null || true
    fi
    wait "$outer" 2>/dev/null || true
    say "shut down in $(since "$t") s"
  fi
  for c in "${ctl[@]}"; do
    [ -d "/sys/fs/cgroup/$c/$cg" ] || continue
    for _ in 1 2 3 4 5; do
      find "/sys/fs/cgroup/$c/$cg" -depth -type d -exec rmdir {} + 2>/dev/null && break
      sleep 0.2
    done
  done
  rm -f "$work/boot.log"; rmdir "$work" 2>/dev/null || say "left behind: $work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs as PID 1 of the new namespaces and becomes systemd.
read -r -d '' stage2 <<'STAGE2' || true
set -euo pipefail
root=$1 work=$2 unit=$3 ctl=$4; shift 4
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$work"       # seen in this mount namespace only
mkdir "$work"/{up,wk,root}
R=$work/root
mount -t overlay -o "lowerdir=$root,upperdir=$work/up,workdir=$work/wk" overlay "$R"

mount -t proc -o nosuid,nodev,noexec proc "$R/proc"
mount --bind "$R/proc/sys" "$R/proc/sys"
mount -o remount,bind,ro "$R/proc/sys"         # no sysctl or binfmt change of the host
mount -t sysfs -o nosuid,nodev,noexec sysfs "$R/sys"
mount -o remount,bind,ro "$R/sys"              # no udev
mount -t tmpfs -o mode=755,nosuid,nodev,noexec tmpfs "$R/sys/fs/cgroup"
for c in $ctl; do
  mkdir "$R/sys/fs/cgroup/$c"
  case $c in
    unified) mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup/$c" ;;
    systemd) mount -t cgroup -o none,name=systemd cgroup "$R/sys/fs/cgroup/$c" ;;
    *) mount -t cgroup -o "$c" cgroup "$R/sys/fs/cgroup/$c" ;;
  esac
done

mount -t tmpfs -o mode=755,nosuid tmpfs "$R/dev"
for d in null zero full random urandom tty; do
  : >"$R/dev/$d"; mount --bind "/dev/$d" "$R/dev/$d"
done
mkdir "$R"/dev/{pts,shm,mqueue}
mount -t devpts -o newinstance,mode=620,gid=5,ptmxmode=666 devpts "$R/dev/pts"
ln -s pts/ptmx "$R/dev/ptmx"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$R/dev/shm"
ln -s /proc/self/fd "$R/dev/fd"; ln -s fd/0 "$R/dev/stdin"
ln -s fd/1 "$R/dev/stdout"; ln -s fd/2 "$R/dev/stderr"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$R/run"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$R/tmp"
for b in "$@"; do
  if [ -d "${b%%:*}" ]; then mkdir -p "$R/${b#*:}"; else mkdir -p "$(dirname "$R/${b#*:}")"; : >>"$R/${b#*:}"; fi
  mount --rbind "${b%%:*}" "$R/${b#*:}"
done

tr -d - </proc/sys/kernel/random/uuid >"$R/etc/machine-id"
hostname sdboot; echo sdboot >"$R/etc/hostname"
mkdir -p "$R/etc/systemd/system"
for t in "$R"/etc/systemd/system/timers.target.wants/*.timer; do   # apt-daily and the like
  if [ -L "$t" ]; then ln -sf /dev/null "$R/etc/systemd/system/${t##*/}"; fi
done
cd "$R"; mkdir .old
pivot_root . .old
umount -l /.old; rmdir /.old
mount --make-rshared /      # systemd leaves this to the container manager; credentials need it
exec chroot / /usr/bin/env -i container=other LANG=C.UTF-8 \
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --system --unit="$unit" --log-target=journal --show-status=no
STAGE2

t0=$(now)
for c in "${ctl[@]}"; do
  d=/sys/fs/cgroup/$c
  mkdir "$d/$cg"
  case $c in
    cpuset) for f in cpuset.cpus cpuset.mems; do cat "$d/$f" >"$d/$cg/$f"; done
            echo 1 >"$d/$cg/cgroup.clone_children" ;;
    cpu) echo 500000 2>/dev/null >"$d/$cg/cpu.rt_runtime_us" || true ;;   # else no SCHED_RR
  esac
done
# The new PID 1 joins those groups and then makes them the root of its cgroup namespace,
# so that systemd cannot see, nor touch, the host's.
setpriv --pdeathsig KILL unshare --mount --uts --ipc --pid --fork --kill-child bash -c '
  for c in $4; do echo 0 >"/sys/fs/cgroup/$c/$0/cgroup.procs"; done
  exec unshare --cgroup bash -c "$5" stage2 "$1" "$2" "$3" "$4" "${@:6}"' \
  "$cg" "$root" "$work" "$unit" "${ctl[*]}" "$stage2" "${binds[@]}" >"$work/boot.log" 2>&1 </dev/null &
outer=$!

# joins the namespaces, then the cgroup of systemd's own init.scope where there is one
inside() {
  nsenter --target "$pid1" --mount --uts --ipc --pid --cgroup /bin/bash -c '
    for c in /sys/fs/cgroup/*/; do
      if [ -d "$c/init.scope" ]; then c=$c/init.scope; fi
      echo $$ >"$c/cgroup.procs" || true
    done 2>/dev/null
    exec "$@"' inside "$@"
}
state=
for _ in $(seq 1200); do
  kill -0 "$outer" 2>/dev/null || { say "did not boot:"; cat "$work/boot.log" >&2; exit 1; }
  [ -n "$pid1" ] || pid1=$(cat "/proc/$outer/task/$outer/children" 2>/dev/null | tr -d ' ') || true
  if [ -n "$pid1" ] && [ "$(cat "/proc/$pid1/comm" 2>/dev/null)" = systemd ]; then
    state=$(inside systemctl is-system-running 2>/dev/null) || true
    case $state in running | degraded) break ;; esac
  fi
  sleep 0.1
done
case $state in
  running) ;;
  degraded) say "booted, but degraded:"; inside systemctl --failed --no-legend --plain >&2 || true ;;
  *) say "not up after 120 s (state: ${state:-none})"; cat "$work/boot.log" >&2; exit 1 ;;
esac
say "booted in $(since "$t0") s (pid $pid1, $state)"

t1=$(now) rc=0
inside "$@" || rc=$?
say "command took $(since "$t1") s, exit $rc"
exit $rc
