"use strict";
// Theme: as the system, light or dark; kept for the next page where the browser allows it.
const themes = ["", "light", "dark"];
const button = document.querySelector("#theme");
function kept(value) {
  try {
    if (value === undefined) return localStorage.getItem("filo-theme") || "";
    localStorage.setItem("filo-theme", value);
  } catch { /* a page that was opened from a file may keep nothing */ }
  return value || "";
}
function paint(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  button.textContent = "Theme: " + (theme || "as the system");
}
let theme = kept();
paint(theme);
button.hidden = false;
button.addEventListener("click", () => {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  kept(theme);
  paint(theme);
});

// Cards: filtered, sorted, a thousand at a time.
const PAGE = 1000;
const form = document.querySelector("form");
if (form) cards(form, document.querySelector("main"));

function cards(form, list) {
  const all = [...list.querySelectorAll("article")];
  const pages = document.querySelector("#pages");
  let shown = all, page = 0;

  for (const field of ["folder", "nearest"]) {
    const values = [...new Set(all.map(card => card.dataset[field]))].filter(Boolean).sort();
    for (const value of values) form[field].append(new Option(value, value));
    form[field].closest("label").hidden = values.length < 2;
  }

  const orders = {
    "score": (a, b) => b.dataset.score - a.dataset.score,
    "-score": (a, b) => a.dataset.score - b.dataset.score,
    "path": (a, b) => a.dataset.path.localeCompare(b.dataset.path, undefined, {numeric: true}),
  };

  function fits(card) {
    const part = form.part.value.trim().toLowerCase();
    return (!form.show.value || card.classList.contains(form.show.value))
      && (!form.folder.value || card.dataset.folder === form.folder.value)
      && (!form.nearest.value || card.dataset.nearest === form.nearest.value)
      && (!part || (card.dataset.path + " " + card.textContent).toLowerCase().includes(part));
  }

  function draw() {
    const last = Math.max(Math.ceil(shown.length / PAGE) - 1, 0);
    page = Math.min(Math.max(page, 0), last);
    list.replaceChildren(...shown.slice(page * PAGE, (page + 1) * PAGE));
    form.querySelector("output").value = shown.length + " of " + all.length + " shown";
    pages.hidden = last === 0;
    pages.querySelector("span").textContent = "page " + (page + 1) + " of " + (last + 1);
  }

  function apply() {
    shown = all.filter(fits).sort(orders[form.sort.value]);
    page = 0;
    draw();
  }

  pages.addEventListener("click", event => {
    const step = Number(event.target.dataset.step || 0);
    if (!step) return;
    page += step;
    draw();
    form.scrollIntoView();
  });
  form.addEventListener("input", apply);
  form.addEventListener("submit", event => event.preventDefault());
  form.hidden = false;
  document.querySelector(".keys").hidden = false;
  apply();
  enlarging(list);
}

function enlarging(list) {
  const dialog = document.querySelector("dialog");
  let current = null;

  function show(card) {
    const picture = card && card.querySelector("img");
    if (!picture) return;
    current = card;
    dialog.querySelector("img").src = picture.getAttribute("src");
    dialog.querySelector("img").alt = picture.alt;
    dialog.querySelector("p").textContent = card.querySelector("h2").textContent + "  " + card.querySelector("p").textContent;
    if (!dialog.open) dialog.showModal();
  }

  function next(card, key) {
    return key === "ArrowRight" || key === "ArrowDown" ? card.nextElementSibling : card.previousElementSibling;
  }

  list.addEventListener("click", event => {
    const card = event.target.closest("article");
    if (event.target.tagName !== "IMG" || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    show(card);
  });
  dialog.addEventListener("click", () => dialog.close());
  document.addEventListener("keydown", event => {
    if (event.target.matches("input, select")) return;
    const card = dialog.open ? current : document.activeElement.closest("article");
    if (event.key === "Enter" && card && !dialog.open) { event.preventDefault(); show(card); }
    if (!card || !event.key.startsWith("Arrow")) return;
    const other = next(card, event.key);
    if (!other) return;
    event.preventDefault();
    if (dialog.open) show(other);
    else other.focus();
  });
}
