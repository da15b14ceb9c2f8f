"use strict";

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const { regions, segments, frames } = data;
const STEPS = 1000; // Of a scaled score, as the page's data gives it.

const video = byId("video");
const classInputs = [...document.querySelectorAll("#classes input")];
const eventButtons = document.querySelectorAll("#events button");
const regionTrack = byId("region-track");
const segmentTrack = byId("segment-track");

const state = {
  timeS: 0,
  frame: 0, // The sampled frame nearest to it.
  classIndex: 0,
  numBoxes: 3,
  chosenRegion: -1,
};

// The regions of each frame, in the order of their objectness.
const regionsOfFrame = frames.times_s.map(() => []);
regions.frames.forEach((frame, region) => regionsOfFrame[frame].push(region));
const maxRegions = Math.max(0, ...regionsOfFrame.map((list) => list.length));
// Until the video plays, its poster shows the best frame of the first class.
const posterRegion = maxRegions
  ? regions.steps[0].indexOf(Math.max(...regions.steps[0])) : -1;
if (video.poster && posterRegion >= 0)
  state.timeS = frames.times_s[regions.frames[posterRegion]];

// ---------------------------------------------------------------- arithmetic

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const percent = (timeS) => `${100 * timeS / (data.duration_s || 1)}%`;

function partAt(edgesS, timeS) {
  let part = 0;
  while (part < edgesS.length - 2 && timeS >= edgesS[part + 1]) part++;
  return part;
}

// Behind the last part nothing was scored.
const endsBefore = (edgesS, timeS) =>
  edgesS.length < 2 || timeS > edgesS.at(-1);

const relativeScore = (proposals, index) =>
  proposals.steps[state.classIndex][index] / STEPS;

function scaledScore(proposals, index) {
  const [low, high] = proposals.heat[state.classIndex];
  return clamp((relativeScore(proposals, index) - low) / (high - low), 0, 1);
}

function scoreText(proposals, index) {
  const [lowest, highest] = proposals.range[state.classIndex];
  const scaled = scaledScore(proposals, index);
  const score = lowest + relativeScore(proposals, index) * (highest - lowest);
  return `score ${score.toPrecision(3)}, scaled ${scaled.toFixed(2)}`;
}

function timeText(timeS, digits = 2) {
  if (data.duration_s < 60) return `${timeS.toFixed(digits)} s`;
  const unit = 10 ** digits;
  const rounded = Math.round(timeS * unit) / unit;
  const seconds = (rounded % 60).toFixed(digits);
  const width = digits ? digits + 3 : 2;
  return `${Math.floor(rounded / 60)}:${seconds.padStart(width, "0")}`;
}

// The color map "hot": black 0, then red, yellow, and white 1.
function hot(value) {
  const channel = (from, to) =>
    Math.round(255 * clamp((value - from) / (to - from), 0, 1));
  return `rgb(${channel(0, 0.375)} ${channel(0.375, 0.75)} ` +
    `${channel(0.75, 1)})`;
}

// ------------------------------------------------------ boxes over the video

function shownRegions() {
  const score = (region) => scaledScore(regions, region);
  const best = [...(regionsOfFrame[state.frame] ?? [])]
    .sort((a, b) => score(b) - score(a))
    .slice(0, state.numBoxes)
    .reverse(); // The last one is drawn on top.
  const others = best.filter((region) => region !== state.chosenRegion);
  return state.chosenRegion < 0 ? others : [...others, state.chosenRegion];
}

function svgElement(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, value);
  }
  return element;
}

function boxElement(region, labeled) {
  const [x1, y1, x2, y2] = regions.boxes[region];
  const score = scaledScore(regions, region);
  const chosen = region === state.chosenRegion;
  const group = svgElement("g", {
    class: chosen ? "chosen" : "",
    opacity: chosen ? 1 : score,
    "data-region": region,
  });
  // The last row and column of pixels belong to a box.
  const width = x2 - x1 + 1;
  const height = y2 - y1 + 1;
  group.append(svgElement("rect", { x: x1, y: y1, width, height }));
  if (labeled || chosen) {
    const size = 14 / (byId("overlay").getScreenCTM()?.a || 1);
    const y = y1 > 1.5 * size ? y1 - 0.4 * size : y1 + 1.2 * size;
    const x = x1 + 0.3 * size;
    const label = svgElement("text", { x, y, "font-size": size });
    label.textContent = score.toFixed(2);
    group.append(label);
  }
  return group;
}

function drawBoxes() {
  const shown = shownRegions();
  const best = shown.at(-1);
  const elements = shown.map((region) => boxElement(region, region === best));
  byId("boxes").replaceChildren(...elements);
}

// Boxes are in pixels of the decoded frames; the player may show these pixels
// wider than high.
function fitOverlay() {
  const [width, height] = data.frame_size_px;
  const shownWidth = video.videoWidth || width;
  const shownHeight = video.videoHeight || height;
  byId("stage").hidden = !shownWidth;
  if (!width || !shownWidth) return;
  byId("stage").style.aspectRatio = `${shownWidth} / ${shownHeight}`;
  const overlay = byId("overlay");
  overlay.setAttribute("viewBox", `0 0 ${shownWidth} ${shownHeight}`);
  const scale = `scale(${shownWidth / width} ${shownHeight / height})`;
  byId("boxes").setAttribute("transform", scale);
  const turned = shownWidth === height && shownHeight === width;
  if (!turned || width === height) return;
  overlay.setAttribute("hidden", "");
  notify("The player turns this video. The boxes are those of the unturned " +
    "frames and are not shown.");
}

// -------------------------------------------------- heat maps and their track

// Draws the cells of each part of the clip, which lie below each other.
function drawTrack(track, proposals, edgesS, parts, numRows, chosen = -1) {
  const canvas = track.querySelector("canvas");
  canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
  canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
  const context = canvas.getContext("2d");
  const x = (timeS) => Math.round(timeS / data.duration_s * canvas.width);
  const y = (row) => Math.round(row / numRows * canvas.height);
  let chosenCell = null;
  parts.forEach((list, part) => list.forEach((proposal, row) => {
    const left = x(edgesS[part]);
    const cell =
      [left, y(row), x(edgesS[part + 1]) - left, y(row + 1) - y(row)];
    context.fillStyle = hot(scaledScore(proposals, proposal));
    context.fillRect(...cell);
    if (proposal === chosen) chosenCell = cell;
  }));
  if (!chosenCell) return;
  context.strokeStyle = "#2ee6ff";
  context.lineWidth = 4;
  context.strokeRect(...chosenCell);
}

function drawRegionTrack() {
  drawTrack(regionTrack, regions, frames.edges_s, regionsOfFrame, maxRegions,
    state.chosenRegion);
}

function drawSegmentTrack() {
  const parts = segments.times_s.map((_, segment) => [segment]);
  drawTrack(segmentTrack, segments, segments.edges_s, parts, 1);
}

function drawRuler() {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800];
  const room = byId("ruler").clientWidth / 56;
  const stepS =
    steps.find((step) => data.duration_s / step <= room) ?? data.duration_s;
  const ticks = [];
  for (let i = 0; stepS && i * stepS <= data.duration_s; i++) {
    const tick = document.createElement("span");
    tick.textContent = timeText(i * stepS, stepS < 1 ? 1 : 0);
    tick.style.left = percent(i * stepS);
    ticks.push(tick);
  }
  byId("ruler").replaceChildren(...ticks);
}

function drawEvents() {
  const spans = [];
  for (const button of eventButtons) {
    const current = Number(button.dataset.class) === state.classIndex;
    button.classList.toggle("current", current);
    if (!current) continue;
    const span = document.createElement("span");
    const { onset, offset } = button.dataset;
    span.style.left = percent(Number(onset));
    span.style.width = percent(Number(offset) - Number(onset));
    span.title = `${onset} – ${offset} s`;
    span.addEventListener("click", () => seek(Number(onset)));
    spans.push(span);
  }
  byId("event-lane").replaceChildren(...spans);
}

// ------------------------------------------------------------ time and class

function showTime(timeS) {
  state.timeS = clamp(timeS, 0, data.duration_s);
  const frame = partAt(frames.edges_s, state.timeS);
  if (frame !== state.frame) {
    state.frame = frame;
    if (state.chosenRegion >= 0) chooseRegion(-1);
    drawBoxes();
  }
  byId("cursor").style.left = percent(state.timeS);
  byId("clock").textContent =
    `${timeText(state.timeS)} / ${timeText(data.duration_s)}`;
  describe();
}

// Says the scores at the playing instant.
function describe() {
  const inFrame = regionsOfFrame[state.frame] ?? [];
  const best = Math.max(...inFrame.map((r) => scaledScore(regions, r)));
  const regionText = inFrame.length
    ? `best in the frame ${best.toFixed(2)}` : "no region in the frame";
  const segment = partAt(segments.edges_s, state.timeS);
  const segmentText = endsBefore(segments.edges_s, state.timeS)
    ? "nothing heard" : scaledScore(segments, segment).toFixed(2);
  byId("region-score").textContent = regionText;
  byId("segment-score").textContent = `at the cursor ${segmentText}`;
  regionTrack.ariaValueText = `${timeText(state.timeS)}, ${regionText}`;
  segmentTrack.ariaValueText = `${timeText(state.timeS)}, ${segmentText}`;
  regionTrack.ariaValueNow = segmentTrack.ariaValueNow =
    state.timeS.toFixed(2);
}

function seek(timeS) {
  showTime(timeS);
  if (!video.error) video.currentTime = state.timeS;
}

function chooseRegion(region) {
  state.chosenRegion = region;
  drawRegionTrack();
  drawBoxes();
}

function chooseClass(index) {
  const wrapped = (index + classInputs.length) % classInputs.length;
  state.classIndex = wrapped;
  classInputs[wrapped].checked = true;
  if (document.activeElement?.name === "class") classInputs[wrapped].focus();
  drawRegionTrack();
  drawSegmentTrack();
  drawEvents();
  drawBoxes();
  showTime(state.timeS);
}

function notify(text) {
  byId("notice").textContent = text;
  byId("notice").hidden = false;
}

// ----------------------------------------------------------------- the player

function followVideo() {
  showTime(video.currentTime);
  byId("play").textContent = video.paused ? "Play" : "Pause";
  if (!video.paused) requestAnimationFrame(followVideo);
}

function togglePlay() {
  if (video.error) return;
  if (video.paused) video.play().catch(refuseVideo);
  else video.pause();
}

function refuseVideo() {
  if (!video.error) return; // Playing was interrupted, no more.
  byId("play").disabled = true;
  byId("mute").disabled = true;
  notify("This browser cannot play the video: the file is missing, or its " +
    "codec is unknown. The heat maps and the boxes work without it.");
}

function onVideoKnown() {
  fitOverlay();
  drawBoxes();
  if (video.videoWidth || !data.frame_size_px[0]) return;
  notify("This browser plays the sound of the video, not its pictures: their " +
    "codec is unknown.");
}

// ------------------------------------------------------- pointer and keyboard

function pointed(track, event) {
  const rect = track.getBoundingClientRect();
  const x = clamp((event.clientX - rect.left) / rect.width, 0, 1);
  const y = clamp((event.clientY - rect.top) / rect.height, 0, 0.999);
  return { timeS: x * data.duration_s, row: Math.floor(y * maxRegions) };
}

function pointAtRegion({ timeS, row }) {
  if (endsBefore(frames.edges_s, timeS)) return seek(timeS);
  const frame = partAt(frames.edges_s, timeS);
  seek(frames.times_s[frame]);
  chooseRegion(regionsOfFrame[frame][row] ?? -1);
}

function regionTip({ timeS, row }) {
  if (endsBefore(frames.edges_s, timeS)) return "no frame: not seen";
  const frame = partAt(frames.edges_s, timeS);
  const inFrame = regionsOfFrame[frame];
  const time = `frame at ${timeText(frames.times_s[frame])}`;
  if (row >= inFrame.length) return `${time}, no proposal`;
  return `${time}, proposal ${row + 1} of ${inFrame.length}\n` +
    scoreText(regions, inFrame[row]);
}

function segmentTip({ timeS }) {
  if (endsBefore(segments.edges_s, timeS)) return "no segment: not heard";
  const segment = partAt(segments.edges_s, timeS);
  const [onset, offset] = segments.times_s[segment].map((t) => timeText(t));
  return `segment from ${onset} to ${offset}\n${scoreText(segments, segment)}`;
}

function showTip(text, event) {
  const tooltip = byId("tooltip");
  tooltip.textContent = text;
  tooltip.hidden = false;
  const room = window.innerWidth - tooltip.offsetWidth - 4;
  tooltip.style.left = `${clamp(event.clientX + 12, 4, Math.max(4, room))}px`;
  tooltip.style.top = `${event.clientY - tooltip.offsetHeight - 10}px`;
}

function listenToTrack(track, pointAt, tip) {
  track.addEventListener("pointerdown", (event) => {
    track.setPointerCapture(event.pointerId);
    pointAt(pointed(track, event));
  });
  track.addEventListener("pointermove", (event) => {
    const place = pointed(track, event);
    if (event.buttons & 1) pointAt(place);
    if (tip) showTip(tip(place), event);
  });
  for (const type of ["pointerleave", "pointercancel"]) {
    track.addEventListener(type, () => { byId("tooltip").hidden = true; });
  }
}

const keyActions = {
  " ": togglePlay,
  ArrowLeft: () => seek(state.timeS - data.hop_s),
  ArrowRight: () => seek(state.timeS + data.hop_s),
  Home: () => seek(0),
  End: () => seek(data.duration_s),
  ArrowUp: () => chooseClass(state.classIndex - 1),
  ArrowDown: () => chooseClass(state.classIndex + 1),
};
keyActions["["] = keyActions.ArrowUp;
keyActions["]"] = keyActions.ArrowDown;

function onKey(event) {
  const action = keyActions[event.key];
  const own = event.target.matches("button") ? " "
    : event.target.matches("[type=range]") ? event.key : "";
  const modified = event.ctrlKey || event.altKey || event.metaKey;
  if (!action || event.key === own || modified) return;
  event.preventDefault();
  action();
}

// ---------------------------------------------------------------- the start

function onNumBoxes() {
  state.numBoxes = Number(byId("num-boxes").value);
  byId("num-boxes-shown").value = state.numBoxes;
  drawBoxes();
}

regionTrack.style.height = `${clamp(11 * maxRegions, 44, 154)}px`;
byId("num-boxes").max = maxRegions;
fitOverlay();
byId("stage").addEventListener("click", togglePlay);
byId("play").addEventListener("click", togglePlay);
byId("mute").addEventListener("click", () => { video.muted = !video.muted; });
video.addEventListener("volumechange", () =>
  byId("mute").setAttribute("aria-pressed", video.muted));
video.addEventListener("loadedmetadata", onVideoKnown);
video.addEventListener("seeked", () => showTime(video.currentTime));
video.addEventListener("play", followVideo);
video.addEventListener("pause", followVideo);
video.addEventListener("error", refuseVideo);
refuseVideo(); // The error may have come before this script.
listenToTrack(regionTrack, pointAtRegion, regionTip);
listenToTrack(segmentTrack, ({ timeS }) => seek(timeS), segmentTip);
listenToTrack(byId("ruler"), ({ timeS }) => seek(timeS));
byId("classes").addEventListener("change", (event) =>
  chooseClass(Number(event.target.value)));
for (const button of eventButtons) {
  button.addEventListener("click", () => {
    chooseClass(Number(button.dataset.class));
    seek(Number(button.dataset.onset));
  });
}
byId("num-boxes").addEventListener("input", onNumBoxes);
document.addEventListener("keydown", onKey);
onNumBoxes();
// Called once at the start, too.
new ResizeObserver(() => {
  drawRuler();
  chooseClass(state.classIndex);
}).observe(byId("timeline"));
