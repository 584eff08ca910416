// The spectrogram: columns of bytes, drawn as they would have been heard, and no faster than an eye follows.

const SPAN_S = 20;
const MAX_LATE_S = 3;
const STOPS = [
  [0, 5, 7, 15], [0.18, 20, 24, 66], [0.36, 66, 20, 108], [0.54, 150, 38, 104],
  [0.7, 219, 80, 72], [0.85, 249, 160, 46], [1, 252, 250, 190],
];
// Bytes above the noise floor that span all colours: 65 dB of the 120 that a byte spans.
const CONTRAST = 138;
export const COLOURS = colours();

export class Spectrogram {
  constructor(canvas) {
    this.canvas = canvas;
    this.shown = canvas.getContext("2d", { alpha: false });
    this.image = document.createElement("canvas");
    this.queue = [];
    this.frozen = false;
    this.bands = 0;
    this.perSecond = 20;
    this.floor = null;
    this.due = 0;
    this.drawn = 0;
    this.before = performance.now();
    requestAnimationFrame((now) => this.step(now));
  }

  add({ bands, duration_s: duration, gap, data }) {
    const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
    const count = Math.floor(bytes.length / bands);
    if (!count || !(duration > 0)) return;
    this.perSecond = count / duration;
    if (bands !== this.bands) this.resize(bands);
    if (gap) this.queue.push(null);
    for (let at = 0; at < count * bands; at += bands) this.queue.push(bytes.subarray(at, at + bands));
    if (this.queue.length > this.image.width) this.queue.splice(0, this.queue.length - this.image.width);
  }

  clear() {
    this.queue = [];
    this.bands = 0;
    this.shown.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  resize(bands) {
    this.bands = bands;
    this.queue = [];
    this.image.width = Math.ceil(SPAN_S * this.perSecond);
    this.image.height = bands;
    this.pixels = this.image.getContext("2d", { alpha: false, willReadFrequently: true });
    this.pixels.fillStyle = "rgb(5 7 15)";
    this.pixels.fillRect(0, 0, this.image.width, bands);
  }

  step(now) {
    // A little faster when much waits, so that "now" stays now.
    const speed = this.queue.length > 2 * this.perSecond ? 1.3 : this.queue.length > this.perSecond ? 1.1 : 1;
    this.due = Math.min(this.due + ((now - this.before) / 1000) * this.perSecond * speed, this.perSecond);
    this.before = now;
    // A tab that was in the background has seconds to draw, and draws them at once.
    const late = this.queue.length - Math.ceil(MAX_LATE_S * this.perSecond);
    const count = Math.max(late, Math.min(Math.floor(this.due), this.queue.length));
    if (count > 0 && !this.frozen) {
      this.due = Math.max(0, this.due - count);
      this.draw(this.queue.splice(0, count));
    }
    requestAnimationFrame((next) => this.step(next));
  }

  draw(columns) {
    const { width, height } = this.image;
    this.pixels.drawImage(this.image, -columns.length, 0);
    const strip = this.pixels.createImageData(columns.length, height);
    const words = new Uint32Array(strip.data.buffer);
    columns.forEach((column, x) => {
      if (column) this.adapt(column);
      for (let y = 0; y < height; y++) {
        const level = column ? ((column[y] - this.floor) * 255) / CONTRAST : 0;
        words[(height - 1 - y) * columns.length + x] = COLOURS[Math.max(0, Math.min(255, Math.round(level)))];
      }
    });
    this.pixels.putImageData(strip, width - columns.length, 0);
    this.drawn += columns.length;
    this.canvas.dataset.drawn = this.drawn;
    this.show();
  }

  // The noise floor falls quickly and rises slowly: a long sound is not taken for it.
  adapt(column) {
    const quiet = Float32Array.from(column).sort()[Math.floor(column.length / 5)] - 6;
    if (this.floor === null) this.floor = quiet;
    this.floor += (quiet - this.floor) * (quiet < this.floor ? 0.1 : 0.004);
  }

  show() {
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * scale);
    const height = Math.round(this.canvas.clientHeight * scale);
    if (!width || !height) return;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.shown.imageSmoothingQuality = "high";
    this.shown.drawImage(this.image, 0, 0, width, height);
  }
}

function colours() {
  const table = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const at = i / 255;
    const next = Math.max(1, STOPS.findIndex((stop) => stop[0] >= at));
    const [from, to] = [STOPS[next - 1], STOPS[next]];
    const share = (at - from[0]) / (to[0] - from[0]);
    const [r, g, b] = [1, 2, 3].map((k) => Math.round(from[k] + (to[k] - from[k]) * share));
    table[i] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return table;
}
