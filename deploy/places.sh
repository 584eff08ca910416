# Sourced by install.sh and uninstall.sh: where an installed audiomon lies. It changes nothing by being read.
# shellcheck shell=bash disable=SC2034,SC2154 # environment.sh defines checkout; the scripts use the rest

programs=/opt/audiomon
releases=$programs/releases
# What is made on the way: an installation that is killed leaves it, and the next one removes it.
building=$programs/building
configuration=/etc/audiomon
shared=/usr/local/share/audiomon
units=/etc/systemd/system
catalog=/usr/local/lib/systemd/catalog/audiomon.catalog
command=/usr/local/bin/audiomon
link_units=("$units"/audiomon-{feed.socket,feed@.socket,link.service} "$units"/audiomon{,@}.service.d/feed.conf
  "$units"/audiomon-{command,apprise}{.socket,@.service})
keeper_units=("$units"/audiomon-{clips.socket,clips@.socket,keeper.socket,keeper.service}
  "$units"/audiomon{,@}.service.d/clips.conf "$units/audiomon-link.service.d/review.conf")
# Where systemd has the keeper keep its clips.
kept_clips=/var/lib/private/audiomon-keeper
# Passwords and addresses that people gave the link and sources.
credentials=(/etc/credstore{,.encrypted}/audiomon.*)
source_units=("$units"/audiomon-source@{.socket,.service})
documentation=/usr/local/share/doc/audiomon
declare -A completions=(
  [bash]=/usr/local/share/bash-completion/completions/audiomon
  [zsh]=/usr/local/share/zsh/site-functions/_audiomon
  [fish]=/usr/local/share/fish/vendor_completions.d/audiomon.fish
)

# A release is named by the version, by the Python that it was made with and by what it was made of, so that installing
# the same again makes the same one. After an upgrade of Python it is another: the one in use is not made again in place.
release_name() {
  local version sum
  version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$checkout/audiomon/__init__.py")
  sum=$(cd "$checkout" &&
    find audiomon models config deploy pyproject.toml README.md -type f ! -path '*/__pycache__/*' -print0 |
    sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-8)
  echo "$version-python$(python_version "$system_python")-$sum"
}

# Stop where the Debian package is installed: both would bring a unit and a command of one name.
require_no_package() {
  case "$(dpkg-query -W -f '${db:Status-Status}' audiomon 2>/dev/null)" in
    '' | not-installed* | config-files*) ;;
    *) fail "the Debian package audiomon is installed: upgrade it with a newer .deb, or remove it first: apt remove audiomon" ;;
  esac
}

# RELEASE ("releases/…"): have `current` lead there, and `previous` to what was current. Each step is one rename, and the
# link `replaced` remembers what is being left: wherever this is cut off, finish_switch goes on.
switch_to() {
  local old_current
  old_current=$(readlink "$programs/current" || true)
  [ "$old_current" != "$1" ] || return 0
  [ -z "$old_current" ] || link "$old_current" "$programs/replaced"
  link "$1" "$programs/current"
  finish_switch
}

finish_switch() {
  [ -L "$programs/replaced" ] || return 0
  if [ "$(readlink "$programs/replaced")" = "$(readlink "$programs/current")" ]; then
    rm "$programs/replaced"
  else
    mv -fT "$programs/replaced" "$programs/previous"
  fi
}

# TARGET LINK: make or change a symbolic link, at once.
link() { ln -sfnT "$1" "$2.new" && mv -fT "$2.new" "$2"; }

# All but the current release and the one before.
remove_old_releases() {
  local release name
  for release in "$releases"/*/; do
    name=releases/$(basename "$release")
    [ "$name" = "$(readlink "$programs/current")" ] || [ "$name" = "$(readlink "$programs/previous" || true)" ] ||
      rm -rf "$release"
  done
}
