// The page's own script: keys, the large photo, sliders and progress. Everything else are links and forms (htmx).
"use strict";
const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const dialog = (name) => document.getElementById(name);
let phraseId = "", photoKey = "", opacity = sessionStorage.getItem("overlay") ?? "60", following = null;

// ---- light and dark
const root = document.documentElement;
const kept = localStorage.getItem("theme");
if (kept) root.dataset.theme = kept;
function toggleTheme() {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
}

// ---- words for people
function say(text) {
  const toast = document.getElementById("toast");
  toast.textContent = text;
  toast.hidden = !text;
  clearTimeout(say.timer);
  if (text) say.timer = setTimeout(() => { toast.hidden = true; }, 12000);
}
function saySaved() {
  const asked = new URLSearchParams(location.search);
  if (!asked.get("saved")) return;
  const others = asked.getAll("other").map((number) => `v${number}`).join(", ");
  say(`Saved v${asked.get("v")}.` + (others ? ` Meanwhile ${others} ${others.includes(",") ? "were" : "was"} saved by others; nothing of it is in yours.` : ""));
  asked.delete("saved"); asked.delete("other");
  history.replaceState(history.state, "", `${location.pathname}?${asked}`);
}

// ---- the strength of maps, the lines, and the map of one phrase
function showOverlay() {
  root.style.setProperty("--overlay", opacity / 100);
  for (const slider of all("[data-overlay]")) slider.value = opacity;
}
function setOverlay(value) {
  opacity = String(value);
  sessionStorage.setItem("overlay", opacity);
  showOverlay();
}
function showPhrase(item) {
  const map = one("#large [data-map]"), which = one("[data-which]");
  if (!map) return;
  map.dataset.whole ??= map.getAttribute("src");
  map.src = item ? item.dataset.phraseMap : map.dataset.whole;
  which.textContent = item ? `map of “${item.dataset.text}” alone` : "map of all phrases together";
  for (const other of all("[data-phrase-map]")) other.classList.toggle("current", other === item);
}

// ---- the threshold on the strip
function drawThreshold() {
  const input = one("[data-threshold]");
  for (const strip of all("[data-strip]")) {
    const line = one("[data-threshold-line]", strip);
    if (!line) continue;
    const low = +strip.dataset.low, high = +strip.dataset.high;
    const value = input ? +input.value : +line.dataset.value;
    const x = (value - low) / (high - low) * one("svg", strip).viewBox.baseVal.width;
    line.setAttribute("x1", x); line.setAttribute("x2", x);
  }
  if (!input) return;
  const value = +input.value;
  const photos = all("[data-photo]").filter((photo) => photo.dataset.score !== "" && photo.dataset.bad !== "");
  const count = (bad, over) => photos.filter((photo) => photo.dataset.bad === bad && (+photo.dataset.score >= value) === over).length;
  one("[data-threshold-value]").textContent = value.toFixed(4);
  one("[data-alarms]").textContent = count("0", true);
  one("[data-misses]").textContent = count("1", false);
  for (const photo of all("[data-photo]")) photo.classList.toggle("over", photo.dataset.score !== "" && +photo.dataset.score >= value);
}

// ---- where the keys are
const phrases = () => all("#large[open] [data-phrase-map]").length ? all("#large[open] [data-phrase-map]") : all("[data-phrase]");
function current() {
  return one(`[data-phrase="${CSS.escape(phraseId)}"]`) ?? one("[data-phrase]");
}
function moveTo(item) {
  if (!item) return;
  if (item.dataset.phraseMap) { item.focus(); showPhrase(item); return; }
  phraseId = item.dataset.phrase;
  mark();
  item.scrollIntoView({ block: "nearest" });
  item.focus({ preventScroll: true });
}
function movePhrase(by) {
  const list = phrases();
  const open = list[0]?.dataset.phraseMap;
  const at = list.indexOf(open ? one("[data-phrase-map].current") : one("[data-phrase].current"));
  moveTo(list[Math.max(0, Math.min(list.length - 1, at + by))]);
}
function movePhoto(by) {
  if (dialog("large")?.open) { one(by > 0 ? "[data-next]" : "[data-previous]")?.click(); return; }
  const list = all("[data-photo]");
  const at = list.findIndex((photo) => photo.dataset.photo === photoKey);
  const next = list[Math.max(0, Math.min(list.length - 1, at + by))];
  if (!next) return;
  photoKey = next.dataset.photo;
  mark();
  next.scrollIntoView({ block: "nearest" });
}
function mark() {
  for (const row of all("[data-phrase]")) row.classList.toggle("current", row.dataset.phrase === phraseId);
  for (const photo of all("[data-photo]")) photo.classList.toggle("current", photo.dataset.photo === photoKey);
}
const press = (name) => one(`[data-do="${name}"]`, current() ?? document)?.click();
function openEdit() {
  const details = one("details.edit", current() ?? document);
  if (!details) return;
  details.open = true;
  const field = one("textarea", details);
  field.focus(); field.select();
}
function markPhoto(label) {
  const large = dialog("large")?.open;
  if (large && ["right", "wrong"].includes(label)) { one(`[data-phrase-map].current [data-mark="${label}"]`)?.click(); return; }
  const open = large ? new URLSearchParams(location.search).get("photo") : photoKey;
  one(`[data-photo="${CSS.escape(open ?? "")}"] [data-mark="${label}"]`)?.click();
}
function close() {
  const open = all("dialog[open]").at(-1);
  if (open?.id === "large") one("#large [data-close]")?.click();
  else open?.close();
}
const keys = {
  j: () => movePhrase(1), k: () => movePhrase(-1), ArrowDown: () => movePhrase(1), ArrowUp: () => movePhrase(-1),
  ArrowRight: () => movePhoto(1), ArrowLeft: () => movePhoto(-1),
  " ": () => press("switch"), a: () => press("accept"), x: () => press("reject"), l: () => press("lock"), e: openEdit,
  n: () => document.getElementById("new-phrase")?.focus(), z: () => one('[data-key="z"]')?.click(),
  Enter: () => one(`[data-photo="${CSS.escape(photoKey)}"] .open`)?.click(),
  o: () => setOverlay(opacity === "0" ? 60 : 0), g: () => markPhoto("good"), d: () => markPhoto("defective"),
  r: () => markPhoto("right"), w: () => markPhoto("wrong"), t: toggleTheme,
  s: () => one("[data-save]")?.click(), "?": () => dialog("help").showModal(), Escape: close,
};
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=range]):not([type=checkbox]), textarea, select");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing) {
    if (event.key === "Escape") { event.target.blur(); event.preventDefault(); }
    if (event.key === "Enter" && event.target.matches("textarea")) { event.preventDefault(); event.target.form.requestSubmit(); }
    return;
  }
  if (event.key === "Enter" && event.target.closest("a, button, summary")) return;
  if (event.key === " " && event.target.closest("button, summary, input")) return;
  if (event.key.startsWith("Arrow") && event.target.matches("input[type=range]")) return;
  const action = keys[event.key];
  if (action && !(dialog("help")?.open && event.key !== "Escape")) { event.preventDefault(); action(); }
});

// ---- pointers and fields
document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-theme-toggle], [data-help], [data-save], [data-cancel], [data-dot], [data-phrase], [data-photo]");
  if (!target) return;
  if ("themeToggle" in target.dataset) toggleTheme();
  else if ("help" in target.dataset) dialog("help").showModal();
  else if ("save" in target.dataset) dialog("save").showModal();
  else if ("cancel" in target.dataset) target.closest("dialog").close();
  else if (target.dataset.dot) one(`[data-photo="${target.dataset.dot}"] .open`)?.click();
  else if (target.dataset.phrase) { phraseId = target.dataset.phrase; mark(); }
  else if (target.dataset.photo) { photoKey = target.dataset.photo; mark(); }
});
document.addEventListener("input", (event) => {
  const target = event.target;
  if (target.matches("[data-overlay]")) setOverlay(target.value);
  if (target.matches("[data-threshold]")) drawThreshold();
  if (target.matches("[data-find]")) {
    const wanted = target.value.toLowerCase().trim();
    for (const row of all("[data-name]")) row.hidden = !row.dataset.name.toLowerCase().includes(wanted);
  }
});
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
  const line = event.target.dataset.show;
  if (line) one(`#large [data-${line}]`).hidden = !event.target.checked;
});
document.addEventListener("pointerover", (event) => {
  const item = event.target.closest("[data-phrase-map]");
  if (item) showPhrase(item);
  else if (event.target.closest("[data-stack]")) showPhrase(null);
});
document.addEventListener("focusin", (event) => {
  const item = event.target.closest("[data-phrase-map]");
  if (item) showPhrase(item);
});
dialog("large")?.addEventListener("cancel", (event) => { event.preventDefault(); close(); });

// ---- what htmx brings
function follow() {
  const waiting = one("[data-progress]");
  if (!waiting || following) return;
  following = new EventSource(waiting.dataset.progress);
  following.onmessage = (event) => {
    const { done, total } = JSON.parse(event.data);
    if (!total) return;
    const bar = one("progress", waiting);
    bar.max = total; bar.value = done;
    one("[data-count]", waiting).textContent = `${done} of ${total}`;
  };
  following.onerror = () => { following.close(); };
}
function settle(event) {
  if (event?.target.closest(".typed, #contributions")) return;
  showOverlay(); drawThreshold(); mark();
  const large = dialog("large");
  if (large) {
    const wanted = Boolean(one("#large-content .large-body"));
    if (wanted && !large.open) large.showModal();
    if (!wanted && large.open) large.close();
  }
  root.dataset.settled = String(Number(root.dataset.settled ?? 0) + 1);
}
document.addEventListener("htmx:afterSettle", settle);
document.addEventListener("htmx:responseError", (event) => {
  let text = "the server refused";
  try { text = JSON.parse(event.detail.xhr.responseText).detail; } catch { /* no problem document */ }
  say(text);
});
document.addEventListener("htmx:sendError", () => say("the server does not answer"));
document.addEventListener("marked", () => {
  const work = document.getElementById("work");
  htmx.ajax("GET", location.pathname + location.search, { source: work, target: work, swap: "none" });
});
document.addEventListener("htmx:configRequest", (event) => {
  const form = event.target.closest("[data-save-form]");
  if (!form) return;
  const asked = new URLSearchParams(location.search);
  event.detail.parameters.append("v", asked.get("v") ?? one('select[name="v"]').value);
  for (const step of asked.getAll("do")) event.detail.parameters.append("do", step);
});
phraseId = one("[data-phrase]")?.dataset.phrase ?? "";
settle(); follow(); saySaved();
