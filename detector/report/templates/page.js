"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector) => document.querySelector(selector);
const names = new Intl.Collator(undefined, { numeric: true });

// Light and dark: the system's choice until the reader makes another one.
const toggle = one("[data-theme-toggle]");
const remembered = (theme) => {
  try {
    return theme ? localStorage.setItem("filo-forge-theme", theme) : localStorage.getItem("filo-forge-theme");
  } catch {
    return null; // pages in private windows may not remember anything
  }
};
const theme = remembered();
if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
toggle.hidden = false;
toggle.addEventListener("click", () => {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const next = (document.documentElement.dataset.theme || system) === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  remembered(next);
});

// Tables: a button in each heading sorts by the cells' values, numbers by size and text by name.
function sortTable(table, heading) {
  const column = all("th", heading.parentElement).indexOf(heading);
  const down = heading.getAttribute("aria-sort") !== "descending";
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const known = (text) => text !== "" && text !== "-";
  const order = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (known(x) !== known(y)) return known(x) ? -1 : 1; // what has no value stays last either way
    const difference = isNaN(x) || isNaN(y) ? names.compare(y, x) : y - x;
    return down ? difference : -difference;
  };
  for (const other of all("th", heading.parentElement)) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
}
for (const table of all("table[data-sortable]")) {
  for (const heading of all("thead th", table)) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => sortTable(table, heading));
  }
}

// Gallery: sorting, filters and pages. All cards stay in the document; those off the page are hidden and load nothing.
const gallery = one("[data-gallery]");
if (gallery) {
  const cards = all("article", gallery);
  const phrases = (card) => all("tbody td:first-child", card).map((cell) => cell.textContent);
  const words = new Map(cards.map((card) => [card, [card.dataset.name, ...phrases(card)].join(" ").toLowerCase()]));
  const form = one("[data-controls]");
  const pager = one("[data-pager]");
  const size = Number(gallery.dataset.pageSize);
  let page = 0;
  const byName = (a, b) => names.compare(a.dataset.name, b.dataset.name);
  const orders = {
    "score": (a, b) => b.dataset.score - a.dataset.score || byName(a, b),
    "score-up": (a, b) => a.dataset.score - b.dataset.score || byName(a, b),
    "name": byName,
    "verdict": (a, b) => names.compare(a.dataset.verdict, b.dataset.verdict) || orders.score(a, b),
  };
  const wanted = (name) => form.elements[name]?.value ?? "";
  const matches = (card) =>
    ["verdict", "folder", "phrase"].every((name) => !wanted(name) || card.dataset[name] === wanted(name)) &&
    words.get(card).includes(wanted("text").trim().toLowerCase());

  function show() {
    const kept = cards.filter(matches).sort(orders[wanted("sort")]);
    const pages = Math.max(Math.ceil(kept.length / size), 1);
    page = Math.min(Math.max(page, 0), pages - 1);
    const shown = kept.slice(page * size, (page + 1) * size);
    const visible = new Set(shown);
    for (const card of cards) card.hidden = !visible.has(card);
    gallery.prepend(...shown);
    one("[data-count]").value = `${kept.length} of ${cards.length}`;
    one("[data-place]").textContent = `page ${page + 1} of ${pages}`;
    pager.hidden = pages === 1;
    one('[data-step="-1"]').disabled = page === 0;
    one('[data-step="1"]').disabled = page === pages - 1;
  }
  form.addEventListener("input", () => {
    page = 0;
    show();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const button of all("[data-step]", pager)) {
    button.addEventListener("click", () => {
      page += Number(button.dataset.step);
      show();
      gallery.scrollIntoView();
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.matches("input, select, textarea")) return;
    event.preventDefault();
    form.elements.text.focus();
  });
  form.hidden = false;
  one("[data-keys]").hidden = false;
  show();
}

// Enlarging: links to pictures open here; without this script they open the picture itself.
const dialog = one("[data-zoom-dialog]");
let opened = null;
function zoom(link) {
  opened = link;
  const picture = one("[data-zoom-image]");
  picture.src = link.getAttribute("href") || link.querySelector("img").src;
  picture.alt = link.querySelector("img").alt;
  one("[data-zoom-caption]").textContent = link.dataset.zoom;
  if (!dialog.open) dialog.showModal();
}
function step(by) {
  const links = all("[data-zoom]").filter((link) => !link.closest("[hidden]"));
  zoom(links[(links.indexOf(opened) + by + links.length) % links.length]);
}
document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-zoom]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  zoom(link);
});
for (const button of all("[data-zoom-step]")) {
  button.addEventListener("click", () => step(Number(button.dataset.zoomStep)));
}
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close();
});
dialog.addEventListener("close", () => opened?.focus());
