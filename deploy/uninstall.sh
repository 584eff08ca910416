#!/bin/bash
# sudo deploy/uninstall.sh [--purge]
#
# Stops audiomon and removes it.
#
#   --purge   also remove /etc/audiomon, drop-ins of the units, all models, yours included, the keeper's clips, and
#             the passwords in /etc/credstore
#
# What it leaves, it names. Debian packages that install.sh installed stay: others may use them by now.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=environment.sh
. "$(dirname "$(realpath "$0")")/environment.sh"
# shellcheck source-path=SCRIPTDIR source=places.sh
. "$(dirname "$(realpath "$0")")/places.sh"

purge=
for option; do
  case "$option" in
    -h | --help) print_head_comment; exit 0 ;;
    --purge) purge=yes ;;
    *) say "there is no option $option; --help lists them"; exit 2 ;;
  esac
done
require_no_package
[ "$(id -u)" -eq 0 ] || fail "needs root: sudo deploy/uninstall.sh"

# PATH...: remove those that are there, and say so.
remove() {
  local path
  for path; do
    if [ -e "$path" ] || [ -L "$path" ]; then
      say "removing $path"
      rm -rf "$path"
    fi
  done
}

if [ -d /run/systemd/system ]; then
  mapfile -t instances < <(systemctl list-units --all --plain --no-legend 'audiomon@*.service' 'audiomon-source@*' |
    awk '{ print $1 }')
  for unit in audiomon-command.socket audiomon-apprise.socket audiomon-link.service audiomon-keeper.service \
    audiomon.service "${instances[@]}"; do
    [ -e "$units/$unit" ] || [[ "$unit" = audiomon@* || "$unit" = audiomon-source@* ]] || continue
    say "stopping $unit"
    quietly systemctl disable --now "$unit" || true
  done
fi
remove "$units"/audiomon.service "$units/audiomon@.service" "$units"/audiomon{,@}.service.d/newer.conf \
  "$units"/*.wants/audiomon-{command,apprise}.socket "$units"/*.wants/audiomon{,-link,-keeper}.service \
  "$units"/*.wants/audiomon@*.service "$units"/*.wants/audiomon-source@*.socket \
  "${link_units[@]}" "${keeper_units[@]}" "${source_units[@]}" \
  "$catalog" "$command" "${completions[@]}" "$documentation" "$programs" \
  /var/cache/audiomon* /run/private/audiomon* /run/audiomon*
for path in /var/lib/private/audiomon* /var/lib/audiomon*; do
  case "$path" in */audiomon-keeper) ;; *) remove "$path" ;; esac
done
# Drop-ins are people's own, those of instances too; and so are clips and passwords.
kept=("${kept_clips/private\//}" "$kept_clips" "$configuration" "$shared" "${credentials[@]}"
  {"$units",/etc/systemd/system.control}/audiomon*.{service,socket}.d)
for path in "${kept[@]}"; do
  [ -e "$path" ] || continue
  if [ "$purge" ]; then
    remove "$path"
  else
    rmdir "$path" 2>/dev/null || say "keeping $path (--purge removes it)"
  fi
done
for group in audiomon-feed audiomon-actions audiomon-clips audiomon-review; do
  if getent group "$group" >/dev/null; then quietly groupdel "$group" || true; fi
done
if [ -d /run/systemd/system ]; then
  quietly systemctl daemon-reload
  quietly systemctl reset-failed 'audiomon*' || true
fi
quietly journalctl --update-catalog || true
say "audiomon is gone"
