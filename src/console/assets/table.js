// Keys: / searches, ? shows help, j and k move through a list, Enter opens, a and s act on an issue,
// Enter, e and u on a day to review.
// Filters apply when they are chosen. Everything here also works without it, by links and buttons.

const ROWS = "[data-list] > tr:not(.sub), [data-list] > li";
let at = -1;

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const field = event.target.closest?.("input, select, textarea, dialog");
  if (event.key === "Escape") return leave(field);
  if (field) return;
  const act = {
    "/": focusSearch,
    "?": showKeys,
    j: () => move(1),
    k: () => move(-1),
    Enter: () => open(event),
    a: () => press("[data-key=a]"),
    s: () => press("[data-key=s]"),
    e: () => press("[data-key=e]"),
    u: () => press("[data-key=u]"),
  }[event.key];
  if (!act) return;
  if (event.key !== "Enter") event.preventDefault();
  act();
});

function leave(field) {
  field?.blur();
  for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
}

function focusSearch() {
  const search = document.getElementById("q");
  search.focus();
  search.select();
}

function showKeys() {
  const keys = document.getElementById("keys");
  if (!keys.open) keys.showModal();
}

function move(by) {
  const rows = [...document.querySelectorAll(ROWS)];
  if (rows.length === 0) return;
  rows[at]?.classList.remove("at");
  at = Math.max(0, Math.min(rows.length - 1, at + by));
  rows[at].classList.add("at");
  const link = rows[at].querySelector("th a, a");
  link?.focus({ preventScroll: true });
  rows[at].scrollIntoView({ block: "nearest" });
}

/** Enter on the row itself; a focused link or button does it by itself. */
function open(event) {
  if (event.target.closest("a, button, summary, [role=slider]")) return;
  const row = document.querySelector(".at th a, .at a");
  if (row) row.click();
  else press("[data-key=Enter]");
}

function press(selector) {
  const control = document.querySelector(selector);
  if (!control) return;
  if (control.matches("summary")) {
    control.parentElement.open = true;
    control.parentElement.querySelector("input, select, textarea")?.focus();
  } else {
    control.click();
  }
}

// One menu at a time; a click elsewhere closes it.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  if (event.target.closest("[data-show-keys]")) {
    event.preventDefault();
    showKeys();
  }
});

// A chosen filter applies at once; a typed one on Enter. Empty fields stay out of the address.
for (const form of document.querySelectorAll("form[data-filters]")) {
  form.addEventListener("change", (event) => {
    if (event.target.matches("select, input[type=checkbox]")) form.requestSubmit();
  });
  form.addEventListener("submit", () => {
    for (const field of form.elements) {
      if (field.name && field.type !== "checkbox" && field.value === "") field.disabled = true;
    }
  });
}
window.addEventListener("pageshow", () => {
  for (const field of document.querySelectorAll("form[data-filters] :disabled")) field.disabled = false;
});

// The table of readings follows the cursor of the chart.
document.addEventListener("cursor", (event) => {
  if (!event.detail.byPerson) return;
  for (const row of document.querySelectorAll("tr.at[data-start]")) row.classList.remove("at");
  for (const row of document.querySelectorAll("tr[data-start]")) {
    const start = Number(row.dataset.start);
    if (start >= event.detail.start && start < event.detail.end) row.classList.add("at");
  }
});
