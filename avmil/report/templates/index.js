"use strict";

const byId = (id) => document.getElementById(id);
const [text, wanted, order] = ["text", "wanted", "order"].map(byId);
const list = document.querySelector("main");
const videos = [...list.children];

function isShown(video) {
  const labels = [...video.querySelectorAll(".chip")].map((c) => c.textContent);
  const words = [video.dataset.name, ...labels].join("\n").toLowerCase();
  const kind = wanted.value;
  return words.includes(text.value.trim().toLowerCase()) && (!kind ||
    (kind.startsWith("=") ? labels.includes(kind.slice(1))
      : video.dataset.status === kind));
}

function update() {
  const key = order.value;
  const compare = key === "name"
    ? (a, b) => a.dataset.name.localeCompare(b.dataset.name, undefined,
      { numeric: true })
    : (a, b) => a.dataset[key] - b.dataset[key];
  list.append(...videos.sort(compare));
  for (const video of videos) video.hidden = !isShown(video);
  const count = videos.filter((video) => !video.hidden).length;
  byId("count").textContent =
    count < videos.length ? `${count} of ${videos.length} shown` : "";
}

byId("tools").addEventListener("input", update);
byId("tools").addEventListener("submit", (event) => event.preventDefault());
update(); // A browser may keep what was chosen when the page is loaded again.
