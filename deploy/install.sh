#!/bin/bash
# sudo deploy/install.sh [--dry-run] [--no-start] [--plots] [--with link,keeper,source] [--rollback]
#
# Installs audiomon from this checkout as a systemd service, and starts it. Run again it upgrades: configuration and
# models of your own are kept, and so is the version before.
#
#   --dry-run    say what would be done, and do nothing
#   --no-start   install, but neither enable nor start the service
#   --plots      also what `audiomon report --plot` draws with (about 60 MB); later upgrades keep it
#   --with link  also what tells the network what is heard: MQTT and Home Assistant (audiomon-link.service; about 15 MB);
#                later upgrades keep it
#   --with keeper  also what keeps clips of events that you name, to hear them again and train on them
#                (audiomon-keeper.service); later upgrades keep it
#   --with source  also what gets sound from the network: cameras and radios (audiomon-source@NAME; needs ffmpeg); later
#                upgrades keep it
#   --rollback   go back to the version that was installed before this one
#
#   /opt/audiomon                      the programs: a virtual environment for each version, `current` being the one used
#   /etc/audiomon/audiomon.yaml        your configuration; never overwritten
#   /etc/audiomon/link.yaml            with the link, what is told to whom; never overwritten
#   /etc/audiomon/keeper.yaml          with the keeper, how much is kept for how long; never overwritten
#   /usr/local/share/audiomon/models   models; those that ship are brought up to date, yours are left alone
#
# deploy/uninstall.sh removes it again.
set -euo pipefail
umask 022 # root's may be stricter, and the service is another user

# shellcheck source-path=SCRIPTDIR source=environment.sh
. "$(dirname "$(realpath "$0")")/environment.sh"
# shellcheck source-path=SCRIPTDIR source=places.sh
. "$(dirname "$(realpath "$0")")/places.sh"

dry_run='' start=yes plots='' link='' keeper='' sources='' rollback=''
while [ $# -gt 0 ]; do
  option=$1
  shift
  case "$option" in
    -h | --help) print_head_comment; exit 0 ;;
    --dry-run) dry_run=yes ;;
    --no-start) start='' ;;
    --plots) plots=yes ;;
    --with)
      IFS=, read -ra parts <<<"${1:-none}"
      for part in "${parts[@]}"; do
        case "$part" in
          link) link=yes ;;
          keeper) keeper=yes ;;
          source) sources=yes ;;
          *) say "--with takes: link, keeper, source, or several as in link,keeper"; exit 2 ;;
        esac
      done
      shift
      ;;
    --rollback) rollback=yes ;;
    *) say "there is no option $option; --help lists them"; exit 2 ;;
  esac
done

# COMMAND...: do it, or say that it would be done.
do_it() {
  if [ "$dry_run" ]; then printf 'would run: %s\n' "$*"; else quietly "$@"; fi
}

systemd_runs() { [ -d /run/systemd/system ]; }

install_release() {
  local python=$system_python packages release=$releases/$1
  require_python "$python"
  [ ! -e "$programs/current/plots" ] || plots=yes
  [ ! -e "$programs/current/link" ] || link=yes
  [ ! -e "$programs/current/keeper" ] || keeper=yes
  [ ! -e "${source_units[0]}" ] || sources=yes
  mapfile -t packages < <(runtime_packages "$python"; service_packages; [ -z "$plots" ] || plots_packages
    [ -z "$sources" ] || echo ffmpeg)
  if is_whole "$python" "$release"; then
    say "audiomon $1 is in $release already"
    [ -z "$plots" ] || [ -e "$release/plots" ] || do_it add_plots "$release"
    [ -z "$link" ] || [ -e "$release/link" ] || do_it add_link "$release"
    [ -z "$keeper" ] || [ -e "$release/keeper" ] || do_it touch "$release/keeper"
    [ -z "$sources" ] || do_it install_packages ffmpeg
  elif [ "$dry_run" ]; then
    mapfile -t packages < <(missing_packages "${packages[@]}")
    [ "${#packages[@]}" -eq 0 ] || echo "would install Debian packages: ${packages[*]}"
    echo "would make a virtual environment in $release and install audiomon $1 into it"
  else
    install_packages "${packages[@]}" || exit 1
    make_release "$python" "$release"
  fi
  do_it switch_to "releases/$1"
}

# PYTHON DIR: whether it was made, to its end, with the Python that there is now, and still works.
is_whole() { [ "$(cat "$2/made-with" 2>/dev/null)" = "$(python_version "$1")" ] && works "$2" >/dev/null 2>&1; }

# DIR: whether the release there loads and runs the model that it brings.
works() { "$1/bin/audiomon" check --no-device --config "$1/config/audiomon.yaml" </dev/null; }

# PYTHON DIR: a virtual environment with this checkout's audiomon in it, that works. What was there, damaged or half-made,
# is put back if that fails: it may be what runs.
make_release() {
  local python=$1 release=$2 source=$building/source venv_options=()
  [ "$(architecture)" != armhf ] || venv_options=(--system-site-packages)
  say "making $release with $python ($(python_version "$python"))"
  mkdir -p "$source" "$building/tmp"
  [ ! -e "$release" ] || mv "$release" "$building/before"
  # From a copy: building in the checkout would leave files of root's in it.
  cp -r "$checkout"/{audiomon,config,models,pyproject.toml,README.md,LICENSE} "$source"
  { quietly "$python" -m venv "${venv_options[@]}" "$release" &&
    say "installing Python packages; this can take some minutes" &&
    TMPDIR=$building/tmp pip_install_locked "$release" "$source" &&
    { [ -z "$plots" ] || TMPDIR=$building/tmp add_plots "$release"; } &&
    { [ -z "$link" ] || TMPDIR=$building/tmp add_link "$release"; } &&
    { [ -z "$keeper" ] || touch "$release/keeper"; } &&
    cp -r "$checkout"/{models,config,deploy,README.md} "$release/" &&
    quietly "$release/bin/python" -m compileall -q "$release"/lib/python*/site-packages/audiomon &&
    chmod -R go+rX "$release" &&
    quietly works "$release" &&
    python_version "$python" >"$release/made-with"; } || {
    rm -rf "$release"
    [ ! -e "$building/before" ] || mv "$building/before" "$release"
    rm -rf "$building"
    fail "the installation failed (its last words are above); what was installed before still runs"
  }
  rm -rf "$building"
  say "the programs take $(du -sh "$release" | cut -f 1) on disk"
}

# DIR: what `audiomon report --plot` draws with.
add_plots() {
  local packages
  mapfile -t packages < <(plots_packages)
  install_packages "${packages[@]}" &&
    { [ "${#packages[@]}" -gt 0 ] || pip_install "$1" --no-deps --require-hashes -r "$checkout/deploy/plots.lock"; } &&
    chmod -R go+rX "$1" && touch "$1/plots"
}

# DIR: what the link is made of besides audiomon.
add_link() {
  pip_install "$1" --no-deps --require-hashes -r "$checkout/deploy/link.lock" && chmod -R go+rX "$1" && touch "$1/link"
}

# Whether the release that is now current, or would be, has the link.
has_link() { [ -e "$programs/current/link" ] || { [ "$dry_run" ] && [ "$link" ]; }; }

# DIR: copy what the link needs outside /opt from a release.
install_link_files() {
  local group
  for group in audiomon-feed audiomon-actions; do
    getent group "$group" >/dev/null || do_it groupadd --system "$group"
  done
  if [ -e "$configuration/link.yaml" ]; then
    say "keeping your $configuration/link.yaml"
  else
    do_it install -m 644 "$1/config/link.yaml" "$configuration/link.yaml"
  fi
  do_it install -m 644 "$1/config/link.schema.json" "$configuration/"
  do_it install -d -m 700 /etc/credstore
  do_it install -m 644 "$1"/deploy/systemd/audiomon-{feed.socket,feed@.socket,link.service} "$units/"
  # What actions run, once you enable their sockets.
  do_it install -m 644 "$1"/deploy/systemd/audiomon-{command,apprise}{.socket,@.service} "$units/"
  do_it install -m 644 "$1/deploy/systemd/feed.conf" "$units/audiomon.service.d/feed.conf"
  do_it install -m 644 "$1/deploy/systemd/feed@.conf" "$units/audiomon@.service.d/feed.conf"
}

# Going back to a release without the link: its units would stay, and fail.
remove_link_files() {
  [ -e "$units/audiomon-link.service" ] || return 0
  say "this version has no link: removing its units"
  if systemd_runs; then do_it systemctl disable --now audiomon-link.service; fi
  do_it rm -f "${link_units[@]}"
}

# Whether the release that is now current, or would be, has the keeper.
has_keeper() { [ -e "$programs/current/keeper" ] || { [ "$dry_run" ] && [ "$keeper" ]; }; }

# DIR: copy what the keeper needs outside /opt from a release.
install_keeper_files() {
  local group
  for group in audiomon-clips audiomon-review; do
    getent group "$group" >/dev/null || do_it groupadd --system "$group"
  done
  if [ -e "$configuration/keeper.yaml" ]; then
    say "keeping your $configuration/keeper.yaml"
  else
    do_it install -m 644 "$1/config/keeper.yaml" "$configuration/keeper.yaml"
  fi
  do_it install -m 644 "$1/config/keeper.schema.json" "$configuration/"
  do_it install -m 644 "$1"/deploy/systemd/audiomon-{clips.socket,clips@.socket,keeper.socket,keeper.service} "$units/"
  do_it install -m 644 "$1/deploy/systemd/clips.conf" "$units/audiomon.service.d/clips.conf"
  do_it install -m 644 "$1/deploy/systemd/clips@.conf" "$units/audiomon@.service.d/clips.conf"
  if has_link; then
    do_it install -d -m 755 "$units/audiomon-link.service.d"
    do_it install -m 644 "$1/deploy/systemd/review.conf" "$units/audiomon-link.service.d/review.conf"
  fi
}

# Going back to a release without the keeper: its units would stay, and fail. Its clips stay.
remove_keeper_files() {
  [ -e "$units/audiomon-keeper.service" ] || return 0
  say "this version has no keeper: removing its units"
  if systemd_runs; then do_it systemctl disable --now audiomon-keeper.service; fi
  do_it rm -f "${keeper_units[@]}"
}

# DIR: copy what sources need outside /opt from a release; or, going back to one that has none, remove it.
install_source_files() {
  local unit
  if [ -e "$1/deploy/systemd/${source_units[0]##*/}" ]; then
    do_it install -d -m 700 /etc/credstore
    for unit in "${source_units[@]}"; do do_it install -m 644 "$1/deploy/systemd/${unit##*/}" "$unit"; done
  else
    say "this version has no sources: removing their units"
    do_it rm -f "${source_units[@]}"
  fi
}

# Copy everything that lies outside /opt from the release that is now current.
install_files() {
  local from=$programs/current model shell
  if [ "$dry_run" ]; then from=$checkout; fi
  do_it install -d -m 755 "$configuration" "$shared/models" "${catalog%/*}" "${units}/audiomon.service.d" \
    "$units/audiomon@.service.d" "$documentation"
  if [ -e "$configuration/audiomon.yaml" ]; then
    say "keeping your $configuration/audiomon.yaml"
  else
    do_it install -m 644 "$from/config/audiomon.yaml" "$configuration/audiomon.yaml"
  fi
  do_it install -m 644 "$from/config/audiomon.schema.json" "$configuration/"
  for model in "$from"/models/*/; do
    model=$(basename "$model")
    do_it rm -rf "$shared/models/.$model"
    do_it cp -r "$from/models/$model" "$shared/models/.$model"
    do_it rm -rf "$shared/models/$model"
    do_it mv "$shared/models/.$model" "$shared/models/$model"
  done
  do_it chmod -R go+rX "$shared"
  do_it install -m 644 "$from"/deploy/systemd/audiomon{,@}.service "$units/"
  if [ "$(systemctl --version | awk 'NR == 1 { print int($2) }')" -ge 254 ]; then  # what older ones would warn about
    do_it install -m 644 "$from/deploy/systemd/newer.conf" "$units/audiomon.service.d/newer.conf"
    do_it install -m 644 "$from/deploy/systemd/newer.conf" "$units/audiomon@.service.d/newer.conf"
  fi
  if has_link; then install_link_files "$from"; else remove_link_files; fi
  if has_keeper; then install_keeper_files "$from"; else remove_keeper_files; fi
  if [ "$sources" ] || [ -e "${source_units[0]}" ]; then install_source_files "$from"; fi
  do_it install -m 644 "$from/deploy/systemd/audiomon.catalog" "$catalog"
  # A release from before they had one of their own may be gone back to.
  [ ! -e "$from/README.md" ] || do_it install -m 644 "$from/README.md" "$documentation/"
  do_it link "$programs/current/bin/audiomon" "$command"
  for shell in "${!completions[@]}"; do
    do_it completion "$shell" "${completions[$shell]}"
  done
  do_it journalctl --update-catalog
}

# SHELL FILE: write the completion of audiomon for a shell. Computing it takes a second; until then nothing is there.
completion() {
  local script
  script=$(_AUDIOMON_COMPLETE=$1_source "$command")
  install -d -m 755 "${2%/*}"
  printf '%s\n' "$script" >"$2"
}

start_service() {
  if ! systemd_runs; then
    say "systemd does not run here: installed, not started"
    return
  fi
  do_it systemctl daemon-reload
  # Before the listeners, which would lose them once more.
  do_it systemctl try-restart 'audiomon-source@*.service'
  do_it systemctl enable audiomon.service
  do_it systemctl restart audiomon.service
  # Instances of your own run the version they were started with until they are started again.
  do_it systemctl try-restart 'audiomon@*.service'
  if has_link; then
    do_it systemctl enable audiomon-link.service
    do_it systemctl restart audiomon-link.service
  fi
  if has_keeper; then
    do_it systemctl enable audiomon-keeper.service
    do_it systemctl restart audiomon-keeper.service
  fi
}

[ "$dry_run" ] || [ "$(id -u)" -eq 0 ] || fail "needs root: sudo deploy/install.sh"
require_no_package
command -v systemctl >/dev/null || fail "there is no systemd here to run a service; deploy/try.sh runs audiomon without one"
if [ ! "$dry_run" ]; then
  install -d -m 755 "$programs" "$releases"
  # A file of root's alone: any user can lock what he can read, a folder too.
  (umask 077 && : >>"$programs/.lock")
  exec 9<>"$programs/.lock"
  flock -n 9 || fail "another installation is under way"
  rm -rf "$building" "$programs"/*.new # what one that was killed left
  finish_switch
fi
if [ "$rollback" ]; then
  previous=$(readlink "$programs/previous" 2>/dev/null) || fail "there is no version before this one to go back to"
  is_whole "$system_python" "$programs/$previous" ||
    fail "${previous#releases/} would not run: it is damaged, or was made with a Python that is gone"
  current=$(readlink "$programs/current")
  do_it switch_to "$previous"
  say "back to ${previous#releases/}; --rollback again returns to ${current#releases/}"
else
  install_release "$(release_name)"
fi
install_files
[ -z "$start" ] || start_service
[ "$dry_run" ] || [ -n "$rollback" ] || remove_old_releases
if [ "$start" ] && [ ! "$dry_run" ] && systemd_runs; then
  say "audiomon runs. To follow what it hears:"
  say "  journalctl -u audiomon -f"
elif [ ! "$dry_run" ]; then
  say "installed. To start it now and at every boot:"
  say "  systemctl enable --now audiomon"
fi
