"use strict";

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const { classes, regions, segments, frames } = data;
const STEPS = 1000; // Of a scaled score, as the page's data gives it.

const video = byId("video");
const classInputs = [...document.querySelectorAll("#classes input")];
const timeButtons = document.querySelectorAll("[data-time]");

// Heat maps over time, and the proposal that each shows for a part of the clip.
const tracks = [
  { kind: "region", proposals: regions, edgesS: frames.edges_s,
    shown: bestRegion },
  { kind: "segment", proposals: segments, edgesS: segments.edges_s,
    shown: (segment) => segment },
];

const state = {
  timeS: 0,
  frame: -1, // The sampled frame nearest to it.
  classIndex: 0,
};

const regionsOfFrame = frames.times_s.map(() => []);
regions.frames.forEach((frame, region) => regionsOfFrame[frame].push(region));

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

// Whether a class is found in the regions, or in the segments.
const isFound = (proposals) => proposals.spans_s[state.classIndex].length > 0;

// Scaled scores mean something within a found class only.
function scoreText(proposals, index) {
  const [lowest, highest] = proposals.range[state.classIndex];
  const score = lowest + relativeScore(proposals, index) * (highest - lowest);
  const { is_predicted, presence } = classes[state.classIndex];
  let text = proposals === regions ? "not seen" : "not heard";
  if (!is_predicted) text = presence;
  if (isFound(proposals))
    text = `scaled ${scaledScore(proposals, index).toFixed(2)}`;
  return `here: score ${score.toPrecision(3)}, ${text}`;
}

function bestRegion(frame) {
  const steps = regions.steps[state.classIndex];
  return (regionsOfFrame[frame] ?? []).reduce(
    (best, region) => best < 0 || steps[region] > steps[best] ? region : best,
    -1);
}

function timeText(timeS, digits = 2) {
  if (data.duration_s < 60) return `${timeS.toFixed(digits)} s`;
  const unit = 10 ** digits;
  const rounded = Math.round(timeS * unit) / unit;
  const seconds = (rounded % 60).toFixed(digits);
  const width = digits ? digits + 3 : 2;
  return `${Math.floor(rounded / 60)}:${seconds.padStart(width, "0")}`;
}

// The color map "hot": black 0, then red, yellow, and white 1; what is not
// found is faded to gray.
function hot(value, found) {
  const channel = (from, to) => {
    const full = 255 * clamp((value - from) / (to - from), 0, 1);
    return Math.round(found ? full : 0.3 * full + 0.7 * 184);
  };
  return `rgb(${channel(0, 0.375)} ${channel(0.375, 0.75)} ` +
    `${channel(0.75, 1)})`;
}

// ------------------------------------------------------ boxes over the video

function svgElement(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    element.setAttribute(key, value);
  }
  return element;
}

function boxElement(region, attributes) {
  const [x1, y1, x2, y2] = regions.boxes[region];
  // The last row and column of pixels belong to a box.
  const size = { width: x2 - x1 + 1, height: y2 - y1 + 1 };
  return svgElement("rect",
    { x: x1, y: y1, ...size, "data-region": region, ...attributes });
}

// The best region of a frame; of a predicted class only where it is found.
function bestBox() {
  const { name, presence, is_predicted } = classes[state.classIndex];
  const region = bestRegion(state.frame);
  const found = regions.found[state.classIndex].includes(region);
  if (region < 0 || is_predicted && !found) return [];
  const text = found ? name : `${name}: ${presence}`;
  const size = 14 / (byId("overlay").getScreenCTM()?.a || 1);
  const [x1, y1, x2] = regions.boxes[region];
  const y = y1 > 1.5 * size ? y1 - 0.4 * size : y1 + 1.2 * size;
  const isRight = x1 + x2 > data.frame_size_px[0];
  const label = svgElement("text", {
    x: isRight ? x2 : x1,
    y,
    "text-anchor": isRight ? "end" : "start",
    "font-size": size,
  });
  label.textContent = text;
  const group = svgElement("g", { class: found ? "" : "faded" });
  group.append(boxElement(region, {}), label);
  return [group];
}

// Where regions overlap, their colors add up to a heat map of the frame.
function heatBoxes() {
  if (!byId("heat").checked) return [];
  const score = (region) => scaledScore(regions, region);
  return [...(regionsOfFrame[state.frame] ?? [])]
    .sort((a, b) => score(a) - score(b))
    .map((region) => boxElement(region, {
      class: "heat",
      fill: hot(score(region), isFound(regions)),
      "fill-opacity": 0.3 * score(region),
    }));
}

function drawBoxes() {
  const best = bestBox();
  byId("boxes").replaceChildren(...heatBoxes(), ...best);
  byId("overlay").ariaLabel =
    best.length ? `Box: ${best[0].textContent}` : "No box";
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

// Draws one cell for each part of the clip, and bars where the class is found.
function drawTrack({ kind, proposals, edgesS, shown }) {
  const canvas = document.querySelector(`#${kind}-track canvas`);
  canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
  canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
  const context = canvas.getContext("2d");
  const x = (timeS) => Math.round(timeS / data.duration_s * canvas.width);
  for (let part = 0; part < edgesS.length - 1; part++) {
    const proposal = shown(part);
    if (proposal < 0) continue;
    const [left, right] = [x(edgesS[part]), x(edgesS[part + 1])];
    const score = scaledScore(proposals, proposal);
    context.fillStyle = hot(score, isFound(proposals));
    context.fillRect(left, 0, right - left, canvas.height);
  }
  byId(`${kind}-bars`).replaceChildren(
    ...proposals.spans_s[state.classIndex].map(([startS, endS]) => {
      const bar = document.createElement("span");
      bar.style.left = percent(startS);
      bar.style.width = percent(endS - startS);
      return bar;
    }));
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

// ------------------------------------------------------------ time and class

function showTime(timeS) {
  state.timeS = clamp(timeS, 0, data.duration_s);
  const frame = partAt(frames.edges_s, state.timeS);
  if (frame !== state.frame) {
    state.frame = frame;
    drawBoxes();
  }
  byId("cursor").style.left = percent(state.timeS);
  byId("clock").textContent =
    `${timeText(state.timeS)} / ${timeText(data.duration_s)}`;
  describe();
}

// Says the scores at the playing instant.
function describe() {
  for (const { kind, proposals, edgesS, shown } of tracks) {
    const index = endsBefore(edgesS, state.timeS)
      ? -1 : shown(partAt(edgesS, state.timeS));
    const text =
      index < 0 ? "here: nothing scored" : scoreText(proposals, index);
    byId(`${kind}-score`).textContent = text;
    const track = byId(`${kind}-track`);
    track.ariaValueText = `${timeText(state.timeS)}, ${text}`;
    track.ariaValueNow = state.timeS.toFixed(2);
  }
}

function seek(timeS) {
  showTime(timeS);
  if (!video.error) video.currentTime = state.timeS;
}

function chooseClass(index) {
  const wrapped = (index + classInputs.length) % classInputs.length;
  state.classIndex = wrapped;
  classInputs[wrapped].checked = true;
  if (document.activeElement?.name === "class") classInputs[wrapped].focus();
  tracks.forEach(drawTrack);
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

function pointedS(track, event) {
  const rect = track.getBoundingClientRect();
  const share = clamp((event.clientX - rect.left) / rect.width, 0, 1);
  return share * data.duration_s;
}

function listenToTrack(track) {
  track.addEventListener("pointerdown", (event) => {
    track.setPointerCapture(event.pointerId);
    seek(pointedS(track, event));
  });
  track.addEventListener("pointermove", (event) => {
    if (event.buttons & 1) seek(pointedS(track, event));
  });
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
  const own = event.target.matches("button, [type=checkbox]") ? " " : "";
  const modified = event.ctrlKey || event.altKey || event.metaKey;
  if (!action || event.key === own || modified) return;
  event.preventDefault();
  action();
}

// ---------------------------------------------------------------- the start

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
["region-track", "segment-track", "ruler"].map(byId).forEach(listenToTrack);
byId("classes").addEventListener("change", (event) =>
  chooseClass(Number(event.target.value)));
for (const button of timeButtons) {
  button.addEventListener("click", () => {
    chooseClass(Number(button.dataset.class));
    seek(Number(button.dataset.time));
  });
}
byId("heat").addEventListener("change", drawBoxes);
document.addEventListener("keydown", onKey);
seek(classes[0].best_s);
// Called once at the start, too.
new ResizeObserver(() => {
  drawRuler();
  chooseClass(state.classIndex);
}).observe(byId("timeline"));
