#!/bin/bash
# tests/link/home_assistant.sh
#
# Installs a real Home Assistant for the tests marked `homeassistant`, into ~/.cache/audiomon-tests (about 750 MB, some
# minutes), and nothing else. Needs Python 3.13, which this release of Home Assistant is the last for.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=../../deploy/environment.sh
. "$(dirname "$(realpath "$0")")/../../deploy/environment.sh"

version=2025.4.4
folder=${XDG_CACHE_HOME:-$HOME/.cache}/audiomon-tests/home-assistant-$version
[ ! -x "$folder/bin/hass" ] || exit 0
python=$(find_python 3.13) || fail "Home Assistant $version needs Python 3.13"
rm -rf "$folder.new"
"$python" -m venv "$folder.new"
"$folder.new/bin/pip" install -q uv
# These two it would fetch by itself at its start; a frontend of another release than its own may not work.
frontend=$("$folder.new/bin/uv" pip install -q --python "$folder.new/bin/python" "homeassistant==$version" &&
  "$folder.new/bin/python" -c 'import json, importlib.resources as resources
manifest = resources.files("homeassistant.components.frontend").joinpath("manifest.json").read_text()
print(*json.loads(manifest)["requirements"])')
"$folder.new/bin/uv" pip install -q --python "$folder.new/bin/python" paho-mqtt "$frontend"
# Scripts name the folder that they were made in.
sed -i "1s#$folder.new#$folder#" "$folder.new/bin/hass"
mv "$folder.new" "$folder"
