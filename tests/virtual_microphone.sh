#!/bin/bash
# Microphones without hardware, for real PortAudio: a private PulseAudio whose null sinks' monitors are ALSA devices.
# What is played into a sink is captured, in real time and bit for bit: `mic` has one channel, `stereo` two. An unplugged
# source fails only if it was the last: PulseAudio moves its streams to another.
#
#   eval "$(virtual_microphone.sh start DIR [RATE [SINK…]])"   start `mic`, or those sinks; prints the environment for
#                                                      whoever captures
#   virtual_microphone.sh play DIR SINK WAV            play into `mic` or `stereo`, in real time; returns when done
#   virtual_microphone.sh loop DIR SINK WAV            play over and over in the background
#   virtual_microphone.sh unplug|plug DIR SINK         take the source away, bring it back
#   virtual_microphone.sh freeze|thaw|kill DIR         stop the sound server, let it go on, end it without warning
#   virtual_microphone.sh stop DIR
#
# Needs pulseaudio, pulseaudio-utils, libasound2-plugins and libportaudio2; no sound hardware, D-Bus or root.
set -eu
command=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
export HOME=$dir XDG_RUNTIME_DIR=$dir PULSE_RUNTIME_PATH=$dir/runtime PULSE_STATE_PATH=$dir/state
export PULSE_CONFIG=$dir/daemon.conf PULSE_SERVER=unix:$dir/socket

running() { # a process that is not a zombie waiting for its parent
  grep -qs '^State:.[^ZX]' "/proc/$1/status"
}

end() { # the group of the process in a file: asked, then after 3 s killed
  [ -s "$1" ] || return 0
  local pid
  pid=$(cat "$1")
  kill -CONT -- "-$pid" 2>/dev/null || :
  kill -- "-$pid" 2>/dev/null || :
  for _ in $(seq 60); do
    running "$pid" || break
    sleep .05
  done
  kill -9 -- "-$pid" 2>/dev/null || :
  rm -f "$1"
}

channels() {
  case $1 in mic) echo 1 ;; stereo) echo 2 ;; *) echo "no sink $1" >&2; exit 2 ;; esac
}

plug() { # norewinds keeps the monitor bit-exact
  pactl load-module module-null-sink sink_name="$1" rate="$(cat "$dir/rate")" channels="$(channels "$1")" \
    format=s16le norewinds=1 >"$dir/$1.module"
}

start() { # rate, sinks
  if [ -s "$dir/server.pid" ] && running "$(cat "$dir/server.pid")"; then
    echo "already running" >&2
    exit 1
  fi
  local sink rate=$1
  shift
  echo "$rate" >"$dir/rate"
  mkdir -p "$dir/runtime" "$dir/state"
  chmod 700 "$dir/runtime"
  rm -f "$dir/socket"
  printf '%s\n' "default-sample-rate=$rate" "alternate-sample-rate=$rate" \
    exit-idle-time=-1 realtime-scheduling=no high-priority=no >"$dir/daemon.conf"
  {
    echo '</usr/share/alsa/alsa.conf>'
    for sink in "$@"; do
      echo "pcm.$sink { type pulse server \"unix:$dir/socket\" device \"$sink.monitor\" }"
    done
  } >"$dir/asoundrc"
  setsid pulseaudio -n --daemonize=no --use-pid-file=no \
    -L "module-native-protocol-unix socket=$dir/socket auth-anonymous=1" >"$dir/server.log" 2>&1 </dev/null &
  echo $! >"$dir/server.pid"
  for _ in $(seq 1000); do
    if pactl info >/dev/null 2>&1 || ! running "$(cat "$dir/server.pid")"; then break; fi
    sleep .05
  done
  for sink in "$@"; do
    if ! plug "$sink"; then
      cat "$dir/server.log" >&2
      exit 1
    fi
  done
  echo "export ALSA_CONFIG_PATH='$dir/asoundrc' PULSE_SERVER='unix:$dir/socket'"
}

case $command in
  start) 
    sinks=("${@:4}")
    start "${3:-48000}" "${sinks[@]:-mic}"
    ;;
  play) exec paplay --device="$3" "$4" ;;
  loop)
    end "$dir/loop.pid"
    sink=$3 wav=$4 # outside of the background, where one that is missing would go unnoticed
    # shellcheck disable=SC2016  # the inner shell's arguments
    setsid bash -c 'while paplay --device="$0" "$1"; do :; done' "$sink" "$wav" >/dev/null 2>&1 </dev/null &
    echo $! >"$dir/loop.pid"
    ;;
  unplug) pactl unload-module "$(cat "$dir/$3.module")" ;;
  plug) plug "$3" ;;
  freeze) kill -STOP "$(cat "$dir/server.pid")" ;;
  thaw) kill -CONT "$(cat "$dir/server.pid")" ;;
  kill)
    kill -9 "$(cat "$dir/server.pid")"
    rm -f "$dir/server.pid"
    ;;
  stop)
    end "$dir/loop.pid"
    end "$dir/server.pid"
    rm -f "$dir/socket"
    ;;
  *)
    echo "unknown command $command: see the head of $0" >&2
    exit 2
    ;;
esac
