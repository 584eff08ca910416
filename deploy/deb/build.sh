#!/bin/bash
# deploy/deb/build.sh [--output FOLDER]
#
# Builds audiomon_VERSION_ARCHITECTURE.deb of this checkout, for the Debian release and the architecture that it runs on,
# and prints its path. What deploy/service.lock and deploy/link.lock list is inside, so that installing needs no network
# but for Debian's own packages:
#
#   sudo apt install ./audiomon_*.deb
#
# Once installed, audiomon.service listens. The link, the keeper and sources are there, and off until they are enabled:
#
#   sudo systemctl enable --now audiomon-link audiomon-keeper && sudo systemctl restart audiomon
#
#   --output FOLDER   where the package goes; otherwise dist/ of this checkout
#
# Needs a network, pip's or its cache, and a compiler; installs Debian packages for that if they are missing.
set -euo pipefail
umask 022

# shellcheck source-path=SCRIPTDIR source=../environment.sh
. "$(dirname "$(dirname "$(realpath "$0")")")/environment.sh"

here=$checkout/deploy/deb output=$checkout/dist
while [ $# -gt 0 ]; do
  case "$1" in
    -h | --help) print_head_comment; exit 0 ;;
    --output) output=${2:?--output needs a folder}; shift 2 ;;
    *) say "there is no option $1; --help lists them"; exit 2 ;;
  esac
done

# The version sorts by release: Bookworm's before Trixie's, both before the next of audiomon.
package_version() {
  local id version_id
  id=$(. /etc/os-release && echo "$ID") version_id=$(. /etc/os-release && echo "$VERSION_ID")
  case "$id" in debian | raspbian) id=deb ;; esac
  echo "$(sed -n 's/^__version__ = "\(.*\)"/\1/p' "$checkout/audiomon/__init__.py")~$id$version_id"
}

# FOLDER: the Python packages that the service and the link need, and audiomon, as files below it.
add_python_packages() {
  local packages=$1 build=$work/build venv_options=()
  [ "$(architecture)" != armhf ] || venv_options=(--system-site-packages)
  say "building the Python packages; this can take some minutes"
  mkdir "$work/source" "$work/wheels"
  cp -r "$checkout"/{audiomon,config,models,pyproject.toml,README.md,LICENSE} "$work/source"
  quietly "$python" -m venv "${venv_options[@]}" "$build"
  pip_install "$build" --no-deps --require-hashes -r "$checkout/deploy/build.lock"
  run_pip "$build" wheel --no-deps --require-hashes --no-build-isolation --use-pep517 --wheel-dir "$work/wheels" \
    -r "$checkout/deploy/service.lock"
  run_pip "$build" wheel --no-deps --require-hashes --wheel-dir "$work/wheels" -r "$checkout/deploy/link.lock"
  run_pip "$build" wheel --no-deps --no-build-isolation --wheel-dir "$work/wheels" "$work/source"
  pip_install "$build" --no-deps --no-index --no-compile --target "$packages" "$work/wheels"/*.whl
  # LiteRT's plug-ins for accelerators, and the tool for them, are linked with what Debian lacks; audiomon uses none.
  rm -rf "${packages:?}"/{bin,ai_edge_litert/vendors,ai_edge_litert/tools/apply_plugin_main}
  find "$packages" -name RECORD -path '*.dist-info/*' -delete # lists what is not there
  find "$packages" -type d -empty -delete
  # Wheels make libraries and modules executable, and none of them is a program.
  find "$packages" -type f -perm /111 -exec chmod a-x {} +
}

# A virtual environment: a folder with this file and a python in it, at a place that Debian's own never touches.
make_environment_at() {
  local folder=$1
  install -d "$folder/bin"
  {
    echo "home = /usr/bin"
    echo "include-system-site-packages = $([ "$(architecture)" = armhf ] && echo true || echo false)"
    echo "version = $("$python" -c 'import platform; print(platform.python_version())')"
  } >"$folder/pyvenv.cfg"
  ln -s "/usr/bin/python$python_version" "$folder/bin/python"
  add_python_packages "$folder/lib/python$python_version/site-packages"
  install -m 755 /dev/stdin "$folder/bin/audiomon" <<EOF
#!/usr/lib/audiomon/bin/python
"""audiomon: says what a microphone hears."""

from audiomon.cli import main

raise SystemExit(main())
EOF
}

# What lies in the system's folders, with the paths of the package in place of the installer's.
add_system_files() {
  local file shell units=$tree/usr/lib/systemd/system
  local -A completions=(
    [bash]=bash-completion/completions/audiomon
    [zsh]=zsh/vendor-completions/_audiomon
    [fish]=fish/vendor_completions.d/audiomon.fish
  )
  install -d "$tree/usr/bin" "$units" "$tree/usr/lib/systemd/catalog" "$tree/etc/audiomon" "$tree/usr/share/man/man1"
  ln -s ../lib/audiomon/bin/audiomon "$tree/usr/bin/audiomon"
  for file in "$checkout"/deploy/systemd/*.{service,socket}; do
    sed -e 's|/opt/audiomon/current/bin/audiomon|/usr/bin/audiomon|g; s|/opt/audiomon/current/bin|/usr/lib/audiomon/bin|g' \
      -e 's|/usr/local/share/doc/|/usr/share/doc/|g' "$file" >"$units/${file##*/}"
  done
  ! grep -n /opt/ "$units"/* || fail "these lines of the units name the installer's folders"
  # A listener needs these sockets only beside the process that follows them: until that is enabled there are none.
  add_listener_socket feed link
  add_listener_socket clips keeper
  install -D -m 644 "$checkout/deploy/systemd/review.conf" "$units/audiomon-link.service.d/review.conf"
  # The library's version is systemd's, which need not be where this is built.
  if dpkg --compare-versions "$(dpkg-query -W -f '${Version}' libsystemd0)" ge 254; then
    for file in audiomon audiomon@; do
      install -D -m 644 "$checkout/deploy/systemd/newer.conf" "$units/$file.service.d/newer.conf"
    done
  fi
  install -m 644 "$checkout/deploy/systemd/audiomon.catalog" "$tree/usr/lib/systemd/catalog/"
  install -m 644 "$checkout"/config/{audiomon,link,keeper}.{yaml,schema.json} "$tree/etc/audiomon/"
  for shell in "${!completions[@]}"; do
    file=$tree/usr/share/${completions[$shell]}
    install -d "${file%/*}"
    _AUDIOMON_COMPLETE=${shell}_source PYTHONPATH=$site PYTHONDONTWRITEBYTECODE=1 "$work/build/bin/python" -c \
      'import sys; sys.argv[0] = "audiomon"; from audiomon.cli import main; main()' >"$file"
  done
  gzip -9n <"$here/audiomon.1" >"$tree/usr/share/man/man1/audiomon.1.gz"
}

# SOCKET COMPANION: have each listener ask for its socket, and have that socket made only where the companion is enabled.
# A unit whose condition fails is skipped, and what requires it starts all the same.
add_listener_socket() {
  local at enabled=/etc/systemd/system/multi-user.target.wants/audiomon-$2.service
  for at in '' @; do
    install -D -m 644 "$checkout/deploy/systemd/$1$at.conf" "$units/audiomon$at.service.d/$1.conf"
    sed -i "s|^\[Unit\]$|&\nConditionPathExists=$enabled|" "$units/audiomon-$1$at.socket"
  done
}

add_documentation() {
  local folder=$tree/usr/share/doc/audiomon info name
  install -d "$folder" "$tree/usr/share/lintian/overrides"
  install -m 644 "$checkout"/{README,SECURITY,CHANGELOG}.md "$folder/"
  gzip -9n <<EOF >"$folder/changelog.gz"
audiomon ($version) unstable; urgency=medium

  * Built from audiomon ${version%%\~*}; CHANGELOG.md says what has changed.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
EOF
  {
    cat "$checkout/LICENSE"
    printf '\nThe model in audiomon/shipped: the card beside it names whose recordings it learned from, and their licences.\n'
    printf '\nThe Python packages in /usr/lib/audiomon, whose licences lie there, in their *.dist-info folders:\n\n'
    for info in "$site"/*.dist-info; do
      name=$(basename "$info" .dist-info)
      printf '  %s: %s\n' "${name//-/ }" \
        "$(sed -n '/^$/q; s/^License-Expression: //p; s/^License: \(.\{1,60\}\)$/\1/p; s/^Classifier: License :: //p' \
          "$info/METADATA" | head -n 1)"
    done
  } >"$folder/copyright"
  install -m 644 "$here/lintian-overrides" "$tree/usr/share/lintian/overrides/audiomon"
}

# The Debian packages that the libraries in the tree are linked with, as Depends has them.
library_dependencies() {
  local libraries folders
  mkdir -p "$work/shlibs/debian"
  printf 'Source: audiomon\n\nPackage: audiomon\nArchitecture: any\n' >"$work/shlibs/debian/control"
  mapfile -t libraries < <(find "$tree/usr/lib/audiomon" -name '*.so*' -type f)
  mapfile -t folders < <(printf '%s\n' "${libraries[@]%/*}" | sort -u)
  (cd "$work/shlibs" &&
    dpkg-shlibdeps -O --ignore-missing-info --warnings=0 "${folders[@]/#/-l}" "${libraries[@]/#/-e}" 2>/dev/null) |
    sed -n 's/^shlibs:Depends=//p'
}

control() {
  local depends libraries next
  next=3.$((${python_version#3.} + 1))
  mapfile -t depends < <(runtime_packages "$python" | grep -vx -e python3-venv -e gcc -e libc6-dev -e python3-dev || true)
  [ "$(architecture)" != armhf ] || depends+=(python3-systemd)
  libraries=$(library_dependencies)
  [ "$libraries" ] || fail "dpkg-shlibdeps named no libraries"
  cat <<EOF
Package: audiomon
Version: $version
Architecture: $(architecture)
Maintainer: $maintainer
Installed-Size: $(du -sk --apparent-size "$tree" | cut -f 1)
Depends: python3 (>= $python_version~), python3 (<< $next), passwd, $(printf '%s, ' "${depends[@]}")$libraries
Recommends: systemd
Suggests: ffmpeg
Section: sound
Priority: optional
Description: says what a microphone hears
 audiomon listens through a microphone around the clock and writes what it
 hears to the system journal: a crying baby, a barking dog, speech, or what
 it was taught. It runs on a Raspberry Pi and sends nothing anywhere.
EOF
}

python=$system_python
require_python "$python"
python_version=$(python_version "$python")
mapfile -t packages < <(runtime_packages "$python"; service_packages; printf '%s\n' dpkg-dev binutils)
install_packages "${packages[@]}" || exit 1

version=$(package_version)
maintainer="${DEBFULLNAME:-The audiomon authors} <${DEBEMAIL:-audiomon@example.org}>"
# Two builds of one checkout are equal: all times are those of its last commit, or of its change log.
SOURCE_DATE_EPOCH=$(git -c safe.directory='*' -C "$checkout" log -1 --format=%ct 2>/dev/null || stat -c %Y "$checkout/CHANGELOG.md")
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree site=$work/tree/usr/lib/audiomon/lib/python$python_version/site-packages
mkdir "$tree"

make_environment_at "$tree/usr/lib/audiomon"
add_system_files
add_documentation
install -d "$tree/DEBIAN"
control >"$tree/DEBIAN/control"
(cd "$tree" && printf '/%s\n' etc/audiomon/*) >"$tree/DEBIAN/conffiles"
for name in preinst postinst prerm postrm; do
  sed "s/@PYTHON@/$python_version/" "$here/$name" | install -m 755 /dev/stdin "$tree/DEBIAN/$name"
done
(cd "$tree" && find usr etc -type f -print0 | sort -z | xargs -0 md5sum) >"$tree/DEBIAN/md5sums"
chmod -R u=rwX,go=rX "$tree"

mkdir -p "$output"
package=$output/audiomon_${version}_$(architecture).deb
# Bookworm's lintian knows no zstd, and a higher level of xz takes minutes to save little.
quietly dpkg-deb --root-owner-group -Zxz -z1 --build "$tree" "$package"
say "$(du -h "$package" | cut -f 1), $(du -sh "$tree" | cut -f 1) installed"
echo "$package"
