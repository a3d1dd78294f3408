// What a stream hears, drawn as it comes over a WebSocket. Labels are other people's words:
// they go into the page as text, never as markup.
"use strict";

const $ = (id) => document.getElementById(id);
const LONG = 700;          // steps kept; a narrow page shows fewer
const GUTTER = 38;         // pixels left of both plots, for their scales
const MOST_FOUND = 50;     // detections in the list
const QUIET_MS = 3000;     // without a word for so long, no audio comes
const RETRY_MS = 1000;
const ASKED_MS = 3000;     // a threshold that was not taken up by then will not be

let model = null;          // what the server says of it
let rows = null;           // Float32Array, LONG x width, NaN where nothing came
let scores = null;         // Float32Array, LONG x labels
let newest = -1;           // number of the newest step; its place is number % LONG
let found = [];            // detections, the newest first
let chosen = {};           // thresholds as the sliders stand
let asked = {};            // those that were sent and not yet taken up, and when they expire
let heardAt = 0;
let socket = null;
let dirty = false;
let palette = null;

// ---------------------------------------------------------------- what comes

function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/stream`);
  socket.onmessage = (event) => take(JSON.parse(event.data));
  socket.onclose = (event) => {
    if (event.reason || $("status").dataset.is !== "gone") {
      say(event.reason || "not connected: trying again", "gone");
    }
    setTimeout(connect, RETRY_MS);
  };
}

function take(told) {
  if (told.hello) {
    heardAt = 0;
    say("waiting for audio", "wait");
    model = null;          // another run, perhaps: its clock began anew
  }
  if (told.model && told.model.labels) takeModel(told.model);
  if (!model) return;
  for (const [time, row] of told.rows || []) put(rows, model.width, time, row);
  for (const [time, row] of told.scores || []) put(scores, model.labels.length, time, row);
  if (told.rows || told.scores) {
    heardAt = performance.now();
    say("live", "live");
    showMeters();
  }
  for (const each of told.found || []) takeDetection(each);
  if (told.counters) showCounters(told.counters);
  if (told.saved) saved(told);
  if (told.problem) note(told.problem, "bad");
  dirty = true;
}

// Over how long the scores shown are averaged: labels may differ.
function smoothed(watched) {
  const lengths = watched.map((label) => model.smoothed_steps[model.labels.indexOf(label)]);
  const [least, most] = [Math.min(...lengths), Math.max(...lengths)];
  if (!lengths.length || most <= 1) return "";
  const said = (steps) => ms(steps * model.hop_s);
  return least === most ? `mean of ${said(most)}` : `mean of ${said(least)} to ${said(most)}`;
}

function takeModel(next) {
  const other = !model || model.width !== next.width || model.hop_s !== next.hop_s
    || model.labels.join("\n") !== next.labels.join("\n");
  const before = model;
  model = next;
  if (other) {
    rows = new Float32Array(LONG * model.width).fill(NaN);
    scores = new Float32Array(LONG * model.labels.length).fill(NaN);
    newest = -1;
    found = [];
    showFound();
  }
  $("what").textContent = `${model.name} · ${model.input} · ${model.backend}`;
  document.title = `${model.name} · edgernn`;
  const watched = Object.keys(model.thresholds);
  $("smoothing").textContent = smoothed(watched);
  $("legend").replaceChildren(...model.labels.filter((label) => !watched.includes(label))
    .map((label) => {
      const item = make("li");
      const swatch = make("span", "swatch");
      swatch.style.setProperty("--of", `var(${colourName(label)})`);
      item.append(swatch, make("span", "", label));
      return item;
    }));
  $("axis").textContent = model.hz ? "kHz" : "columns";
  const same = !other && before && Object.keys(before.thresholds).join("\n") === watched.join("\n");
  if (!same) {
    chosen = { ...model.thresholds };
    asked = {};
    buildThresholds();
  }
  for (const label of watched) showThreshold(label, true);
  showButtons();
}

// Put a step's values in their place; what was skipped is a hole.
function put(into, width, time, values) {
  // Rows may end halfway between two whole hops; a little more than a half, so that what is
  // left of rounding never takes them to either side in turn.
  const step = Math.floor(time / model.hop_s + 0.5137);
  if (step <= newest - LONG) return;
  for (let i = Math.max(newest + 1, step - LONG + 1); i <= step; i++) {
    rows.fill(NaN, (i % LONG) * model.width, (i % LONG + 1) * model.width);
    scores.fill(NaN, (i % LONG) * model.labels.length, (i % LONG + 1) * model.labels.length);
  }
  newest = Math.max(newest, step);
  if (values.length === width) into.set(values, (step % LONG) * width);
}

function takeDetection(each) {
  found.unshift(each);
  found.length = Math.min(found.length, MOST_FOUND);
  showFound();
  const item = $("thresholds").children[Object.keys(model.thresholds).indexOf(each.label)];
  if (item) {
    item.classList.add("fired");
    setTimeout(() => item.classList.remove("fired"), 400);
  }
}

// ---------------------------------------------------------------- what is shown

function say(what, is) {
  $("status").textContent = what;
  $("status").dataset.is = is;
}

function make(tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

function clock(seconds, places) {
  const whole = Math.floor(seconds / 60);
  const rest = seconds - 60 * whole;
  if (!whole) return `${rest.toFixed(places)} s`;
  const two = (x) => x.toFixed(places).padStart(places ? places + 3 : 2, "0");
  if (whole < 60) return `${whole}:${two(rest)}`;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}:${two(rest)}`;
}

const ms = (seconds) => `${Number((1000 * seconds).toPrecision(3))} ms`;

function showFound() {
  $("found").replaceChildren(...found.map((each) => {
    const line = make("tr");
    line.append(make("td", "", clock(each.time_s, 2)), make("td", "", each.label),
      make("td", "", each.score.toFixed(2)));
    return line;
  }));
  $("none").hidden = found.length > 0;
}

function colourName(label) {
  const watched = Object.keys(model.thresholds);
  // Labels that cannot fire are grey, unless none can.
  const at = (watched.length ? watched : model.labels).indexOf(label);
  return at >= 0 ? `--label-${at % 8}` : "--quiet";
}

const colour = (label) => css(colourName(label));

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function buildThresholds() {
  const labels = Object.keys(model.thresholds);
  $("tuning").hidden = !labels.length;
  $("thresholds").replaceChildren(...labels.map((label, at) => {
    const item = make("li");
    item.style.setProperty("--of", `var(--label-${at % 8})`);
    const value = make("span", "value");
    value.append(make("b", "score", "–"), ", fires at ", make("b", "limit"));
    // The slider's track is the score: its thumb is where that fires.
    const both = make("div", "both");
    const meter = make("div", "meter");
    meter.append(make("span"));
    const slider = make("input");
    Object.assign(slider, { type: "range", min: 0.01, max: 1, step: 0.01 });
    slider.setAttribute("aria-label", `threshold of ${label}`);
    slider.addEventListener("input", () => {
      chosen[label] = Number(slider.value);
      showThreshold(label, false);
      showButtons();
      dirty = true;
    });
    // Sent once it is let go: each change makes the detector arm itself anew.
    slider.addEventListener("change", () => ask([label]));
    const name = make("span", "name", label);
    name.title = label;
    both.append(meter, slider);
    item.append(make("span", "swatch"), name, value, both);
    return item;
  }));
}

// Send what was chosen. Until it is taken up, what the server still says does not count: it
// would push the slider back from under a finger.
function ask(labels) {
  send({ thresholds: Object.fromEntries(labels.map((label) => [label, chosen[label]])) });
  for (const label of labels) asked[label] = performance.now() + ASKED_MS;
  setTimeout(() => {
    for (const label of Object.keys(asked)) {
      // Without audio nothing is taken up: then it still waits.
      if (asked[label] <= performance.now() && heardAt && label in model.thresholds) {
        delete asked[label];
        showThreshold(label, true);
        showButtons();
      }
    }
  }, ASKED_MS + 10);
}

// The slider and the number of a label; from the server, unless it is being moved.
function showThreshold(label, told) {
  const item = $("thresholds").children[Object.keys(model.thresholds).indexOf(label)];
  const slider = item.querySelector("input");
  if (told && chosen[label] === model.thresholds[label]) delete asked[label];
  if (told && (slider.matches(":active") || label in asked)) return;
  if (told) chosen[label] = model.thresholds[label];
  slider.value = chosen[label];
  item.querySelector(".limit").textContent = chosen[label].toFixed(2);
}

function showMeters() {
  Object.keys(model.thresholds).forEach((label, at) => {
    const place = (newest % LONG) * model.labels.length + model.labels.indexOf(label);
    const score = scores[place];
    if (Number.isNaN(score)) return;
    const item = $("thresholds").children[at];
    item.querySelector(".score").textContent = score.toFixed(2);
    item.querySelector(".meter span").style.transform = `scaleX(${Math.min(1, Math.max(0, score))})`;
  });
}

function changed() {
  return Object.keys(chosen).filter((label) => chosen[label] !== model.stored[label]);
}

function showButtons() {
  const any = changed().length > 0;
  $("save").textContent = `Save to ${model.name}`;
  $("save").hidden = Boolean(model.keep);
  $("save").disabled = !any;
  $("undo").disabled = !any || !Object.keys(chosen).every((label) => label in model.stored);
  if (model.keep && !$("saved").textContent) note(model.keep, "");
}

function note(what, is) {
  $("saved").textContent = what;
  $("saved").dataset.is = is;
}

function saved(told) {
  Object.assign(model.stored, told.stored);
  showButtons();
  note(`Saved to ${told.saved}.`, "");
}

function send(asked) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(asked));
  else note("Not connected: this was not sent.", "bad");
}

$("save").addEventListener("click", () => send({ save: chosen }));
$("undo").addEventListener("click", () => {
  for (const label of Object.keys(chosen)) {
    chosen[label] = model.stored[label];
    showThreshold(label, false);
  }
  ask(Object.keys(chosen));
  showButtons();
  dirty = true;
});

const COUNTERS = [
  ["heard_s", "Heard", (x) => clock(x, 0)],
  ["detections", "Detections", String],
  ["step_p50_us", "Step, median", us],
  ["step_p99_us", "Step, 99 %", us],
  ["step_max_us", "Step, longest", us],
  ["times_real_time", "Computing", (x) => x ? `${(100 / x).toPrecision(2)} %` : "–"],
  ["resets", "Resets", String],
  ["held", "Steps held", String, true],
  ["overflows", "Overflows", String, true],
  ["dropped", "Samples dropped", String, true],
  ["sinks_dropped", "Dropped by sinks", String, true],
];

function us(x) {
  return x < 1000 ? `${x} µs` : `${(x / 1000).toPrecision(3)} ms`;
}

function showCounters(counters) {
  $("counters").replaceChildren(...COUNTERS.filter(([key]) => key in counters)
    .map(([key, name, text, lost]) => {
      const pair = make("div");
      const value = make("dd", "", text(counters[key]));
      if (lost && counters[key] > 0) value.dataset.is = "bad";
      pair.append(make("dt", "", name), value);
      return pair;
    }));
}

// ---------------------------------------------------------------- what is drawn

// Dark to bright on a dark page, bright to dark on a bright one.
const DARK = [[17, 20, 24], [60, 20, 95], [150, 38, 105], [226, 89, 51], [250, 180, 60], [253, 245, 190]];
const LIGHT = [[255, 255, 255], [214, 228, 245], [134, 178, 224], [58, 110, 190], [38, 52, 130], [20, 14, 50]];

function colours() {
  const stops = matchMedia("(prefers-color-scheme: dark)").matches ? DARK : LIGHT;
  const made = new Uint8ClampedArray(256 * 3);
  for (let i = 0; i < 256; i++) {
    const at = i / 255 * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    for (let c = 0; c < 3; c++) {
      made[3 * i + c] = stops[low][c] + (at - low) * (stops[low + 1][c] - stops[low][c]);
    }
  }
  return made;
}

function prepare(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const wide = Math.round(width * ratio);
  const high = Math.round(height * ratio);
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, sans-serif";
  pen.lineWidth = 1;
  return { pen, width, height };
}

// How many steps are shown: about one for every pixel and a half.
const shown = (width) => Math.max(60, Math.min(LONG - 40, Math.floor((width - GUTTER) / 1.5)));

const picture = document.createElement("canvas");

function drawRows() {
  const { pen, width, height } = prepare($("rows"));
  const steps = shown(width);
  const bands = model.width;
  const [low, high] = range(steps);
  Object.assign(picture, { width: steps, height: bands });
  const brush = picture.getContext("2d");
  const image = brush.createImageData(steps, bands);
  for (let x = 0; x < steps; x++) {
    const step = newest - steps + 1 + x;
    if (step < 0) continue;
    const from = (step % LONG) * bands;
    for (let y = 0; y < bands; y++) {
      const value = rows[from + bands - 1 - y];
      if (Number.isNaN(value)) continue;
      const code = Math.max(0, Math.min(255, Math.round(255 * (value - low) / (high - low))));
      const at = 4 * (y * steps + x);
      image.data[at] = palette[3 * code];
      image.data[at + 1] = palette[3 * code + 1];
      image.data[at + 2] = palette[3 * code + 2];
      image.data[at + 3] = 255;
    }
  }
  brush.putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(picture, GUTTER, 0, width - GUTTER, height);
  pen.strokeStyle = css("--line");
  pen.strokeRect(GUTTER + 0.5, 0.5, width - GUTTER - 1, height - 1);
  pen.fillStyle = css("--quiet");
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const [text, place] of bandTicks()) {
    const y = Math.max(7, Math.min(height - 7, height * (1 - place)));
    pen.fillText(text, GUTTER - 6, y);
  }
}

// The darkest and the brightest value: nearly the smallest and the largest of those shown.
function range(steps) {
  const values = [];
  for (let step = Math.max(0, newest - steps + 1); step <= newest; step += 2) {
    const from = (step % LONG) * model.width;
    for (let i = step % 3; i < model.width; i += 3) {
      if (!Number.isNaN(rows[from + i])) values.push(rows[from + i]);
    }
  }
  if (!values.length) return [0, 1];
  values.sort((a, b) => a - b);
  const low = values[Math.floor(0.02 * (values.length - 1))];
  const high = values[Math.ceil(0.998 * (values.length - 1))];
  return [low, high > low ? high : low + 1];
}

// Labels of the bands, and where between the lowest (0) and the highest (1) they are.
function bandTicks() {
  if (!model.hz) return [["1", 0.5 / model.width], [String(model.width), 1 - 0.5 / model.width]];
  const mel = (hz) => Math.log(1 + hz / 700);
  const [low, high] = model.hz.map(mel);
  return [250, 500, 1000, 2000, 4000, 8000, 16000].filter((hz) => mel(hz) > low && mel(hz) < high)
    .map((hz) => [String(hz / 1000), (mel(hz) - low) / (high - low)]);
}

function drawScores() {
  const { pen, width, height } = prepare($("scores"));
  const bottom = height - 22;
  const top = 18;
  const steps = shown(width);
  const first = newest - steps + 1;
  const x = (step) => GUTTER + (step - first + 0.5) / steps * (width - GUTTER);
  const [low, high] = scoreRange(first);
  const y = (score) => bottom - (score - low) / (high - low) * (bottom - top);

  pen.strokeStyle = css("--line");
  pen.fillStyle = css("--quiet");
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const score = low + part * (high - low);
    line(pen, GUTTER, y(score), width, y(score));
    pen.fillText(Number(score.toPrecision(3)), GUTTER - 6, y(score));
  }
  timeTicks(pen, x, first, steps, bottom, width);
  drawThresholds(pen, y, width);
  const watched = model.labels.filter((label) => label in model.thresholds);
  for (const label of [...model.labels.filter((each) => !watched.includes(each)), ...watched]) {
    drawScore(pen, label, x, y, first, watched.includes(label));
  }
  drawFound(pen, x, first, top, bottom, width);
}

function scoreRange(first) {
  let low = 0;
  let high = 1;
  for (let step = Math.max(0, first); step <= newest; step++) {
    for (let i = 0; i < model.labels.length; i++) {
      const score = scores[(step % LONG) * model.labels.length + i];
      if (score < low) low = score;
      if (score > high) high = score;
    }
  }
  return [low, high];
}

function line(pen, x0, y0, x1, y1) {
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.lineTo(x1, y1);
  pen.stroke();
}

function timeTicks(pen, x, first, steps, bottom, width) {
  const span = steps * model.hop_s;
  const every = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600, 3600]
    .find((s) => span / s <= width / 90) || 7200;
  const begin = Math.max(0, Math.ceil(first * model.hop_s / every));
  pen.textAlign = "center";
  for (let i = begin; i * every <= newest * model.hop_s; i++) {
    const at = x(i * every / model.hop_s);
    if (at < GUTTER) continue;
    line(pen, at, bottom, at, bottom + 4);
    const text = clock(i * every, every < 1 ? 1 : 0);
    const half = pen.measureText(text).width / 2;
    pen.fillText(text, Math.max(GUTTER + half, Math.min(width - half, at)), bottom + 13);
  }
}

function drawThresholds(pen, y, width) {
  const labels = Object.keys(model.thresholds);
  labels.forEach((label, at) => {
    pen.strokeStyle = colour(label);
    // Equal ones lie on each other: their dashes take turns.
    pen.setLineDash(labels.length > 1 ? [6, 6 * (labels.length - 1)] : [6, 4]);
    pen.lineDashOffset = -6 * at;
    pen.lineWidth = 1.5;
    line(pen, GUTTER, y(chosen[label]), width, y(chosen[label]));
  });
  pen.setLineDash([]);
  pen.lineWidth = 1;
}

function drawScore(pen, label, x, y, first, watched) {
  const at = model.labels.indexOf(label);
  pen.strokeStyle = colour(label);
  pen.globalAlpha = watched || !Object.keys(model.thresholds).length ? 1 : 0.55;
  pen.lineWidth = watched ? 2 : 1;
  pen.lineJoin = "round";
  pen.beginPath();
  let begun = false;
  for (let step = Math.max(0, first); step <= newest; step++) {
    const score = scores[(step % LONG) * model.labels.length + at];
    if (Number.isNaN(score)) begun = false;
    else if (begun) pen.lineTo(x(step), y(score));
    else {
      pen.moveTo(x(step), y(score));
      begun = true;
    }
  }
  pen.stroke();
  pen.globalAlpha = 1;
  pen.lineWidth = 1;
}

function drawFound(pen, x, first, top, bottom, width) {
  for (const each of found) {
    const step = each.time_s / model.hop_s;
    if (step < first) break;
    const at = x(step);
    pen.strokeStyle = pen.fillStyle = colour(each.label);
    line(pen, at, top - 4, at, bottom);
    const half = Math.min(width / 2, pen.measureText(each.label).width / 2);
    pen.textAlign = "center";
    pen.fillText(each.label, Math.max(GUTTER + half, Math.min(width - half, at)), 7);
  }
}

function draw() {
  if (dirty && model) {
    dirty = false;
    palette = palette || colours();
    drawRows();
    drawScores();
  }
  if (heardAt && performance.now() - heardAt > QUIET_MS && socket.readyState === WebSocket.OPEN) {
    heardAt = 0;
    say("no audio comes", "wait");
  }
  requestAnimationFrame(draw);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  palette = null;
  dirty = true;
});
new ResizeObserver(() => { dirty = true; }).observe(document.body);
connect();
draw();
