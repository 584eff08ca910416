// A clip's sound: fetched, decoded, played, and drawn as a spectrogram. Nothing of it is kept.

import { COLOURS } from "/drawing.js";

const SIZE = 512;
const FLOOR_DB = -90;
const RANGE_DB = 80;
const WINDOW = Float64Array.from({ length: SIZE }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / SIZE));

let context = null;
let playing = null;

export async function fetchSound(clip) {
  const answer = await fetch(`/clips/sound/${encodeURIComponent(clip.id)}`);
  if (!answer.ok) throw new Error((await answer.text()).trim());
  // Decoded at its own rate: a browser would else convert it to that of its loudspeaker.
  const decoding = new OfflineAudioContext(1, 1, clip.sample_rate);
  return decoding.decodeAudioData(await answer.arrayBuffer());
}

export function play(sound, ended) {
  stop();
  context ??= new AudioContext();
  context.resume();
  const source = context.createBufferSource();
  source.buffer = sound;
  source.connect(context.destination);
  source.onended = () => {
    if (playing?.source === source) playing = null;
    ended();
  };
  source.start();
  playing = { source };
}

export function stop() {
  playing?.source.stop();
  playing = null;
}

export const isPlaying = () => playing !== null;

// ---- the picture ----

export function draw(canvas, sound) {
  const samples = sound.getChannelData(0);
  const width = (canvas.width = Math.min(1200, Math.max(1, Math.floor(samples.length / 64))));
  const height = (canvas.height = SIZE / 2);
  const shown = canvas.getContext("2d", { alpha: false });
  const image = shown.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const real = new Float64Array(SIZE);
  const imaginary = new Float64Array(SIZE);
  const last = Math.max(0, samples.length - SIZE);
  for (let x = 0; x < width; x++) {
    const begin = Math.round((last * x) / Math.max(1, width - 1));
    for (let n = 0; n < SIZE; n++) real[n] = WINDOW[n] * (samples[begin + n] ?? 0);
    imaginary.fill(0);
    transform(real, imaginary);
    for (let y = 0; y < height; y++) {
      const power = (real[y] * real[y] + imaginary[y] * imaginary[y]) / (SIZE * SIZE / 16);
      const level = (10 * Math.log10(power + 1e-12) - FLOOR_DB) / RANGE_DB;
      pixels[(height - 1 - y) * width + x] = COLOURS[Math.min(255, Math.max(0, Math.round(255 * level)))];
    }
  }
  shown.putImageData(image, 0, 0);
  canvas.dataset.drawn = width;
}

// The fast Fourier transform of SIZE numbers, in place.
function transform(real, imaginary) {
  for (let i = 1, j = 0; i < SIZE; i++) {
    let bit = SIZE >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let length = 2; length <= SIZE; length <<= 1) {
    const half = length >> 1;
    for (let k = 0; k < half; k++) {
      const angle = (-2 * Math.PI * k) / length;
      const cos = Math.cos(angle);
      const sin = Math.sin(angle);
      for (let i = k; i < SIZE; i += length) {
        const a = real[i + half] * cos - imaginary[i + half] * sin;
        const b = real[i + half] * sin + imaginary[i + half] * cos;
        real[i + half] = real[i] - a;
        imaginary[i + half] = imaginary[i] - b;
        real[i] += a;
        imaginary[i] += b;
      }
    }
  }
}
