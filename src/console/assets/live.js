// Live pages: the server sends fragments of this page as they change; each replaces the element that
// has its id. The page says when nothing comes any more, and keeps what it shows, greyed.

import { attachCharts, cursorOf, isDragging, restoreCursor } from "./chart.js";

const body = document.body;
const state = document.getElementById("live");
/** Seconds without a word from the server after which the page calls itself stale. */
const QUIET_S = 4;
let heardAt = performance.now();
let broken = "";

let source;

if (body.dataset.stream) {
  connect();
  setInterval(tell, 1000);
  // A browser keeps few connections to one host: pages that nobody looks at give theirs back.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) source.close();
    else if (source.readyState === EventSource.CLOSED) connect();
  });
}

function connect() {
  heardAt = performance.now();
  source = new EventSource(body.dataset.stream);
  source.addEventListener("fragment", (event) => heard(() => replace(event.data)));
  source.addEventListener("clock", (event) => heard(() => replace(event.data)));
  // The program behind the page is another one: its pages and scripts may differ.
  source.addEventListener("hello", (event) => heard(() => {
    if (event.data !== body.dataset.build) location.reload();
  }));
  source.addEventListener("resync", () => location.reload());
  source.addEventListener("trouble", (event) => { broken = event.data; tell(); });
  source.addEventListener("error", () => {
    // A browser gives up on some answers; then this page asks again itself.
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(() => { if (!document.hidden) connect(); }, 2000);
    }
  });
}

function heard(then) {
  heardAt = performance.now();
  broken = "";
  then();
  tell();
}

function tell() {
  const quiet = Math.floor((performance.now() - heardAt) / 1000);
  const stale = broken !== "" || quiet >= QUIET_S;
  state.textContent = broken !== "" ? broken : stale ? `stale ${duration(quiet)}` : "live";
  state.className = stale ? "live stale" : "live";
  body.classList.toggle("is-stale", stale);
}

function duration(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** Puts every element of the fragment in the place of its namesake. */
function replace(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  for (const fresh of [...template.content.children]) {
    const old = document.getElementById(fresh.id);
    if (!old || old.isEqualNode(fresh)) continue;
    if (old.matches("tbody, ul")) exchangeRows(old, fresh);
    else exchange(old, fresh);
  }
}

/** Rows stay where nothing changed, so that focus, selection and open groups survive. */
function exchangeRows(old, fresh) {
  const known = new Map([...old.children].map((row) => [row.id, row]));
  const rows = [...fresh.children].map((row) => {
    const before = known.get(row.id);
    if (row.id && before && sameText(before, row)) return before;
    markChanged(before, row);
    if (before?.classList.contains("at")) row.classList.add("at");
    return row;
  });
  const focused = document.activeElement?.getAttribute?.("href");
  const inside = old.contains(document.activeElement);
  old.replaceChildren(...rows);
  if (inside && focused) old.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

/** The text without what changes by itself, such as an age. */
function loudText(cell) {
  if (!cell || cell.dataset.quiet !== undefined) return "";
  const copy = cell.cloneNode(true);
  for (const quiet of copy.querySelectorAll("[data-quiet]")) quiet.remove();
  return copy.textContent;
}

const sameText = (a, b) => a.innerHTML === b.innerHTML;

function markChanged(before, row) {
  [...row.children].forEach((cell, n) => {
    if (loudText(before?.children[n]) !== loudText(cell)) cell.classList.add("changed");
  });
}

/** Somebody types in it, or has a menu open whose fields may be filled. */
function isInHand(old) {
  return old.contains(document.activeElement?.closest?.("input, textarea, select")) || old.querySelector("details.menu[open]") !== null;
}

function exchange(old, fresh) {
  const oldChart = old.querySelector("svg[data-buckets]");
  if (isDragging(oldChart) || isInHand(old)) return;
  const cursor = cursorOf(oldChart);
  const focused = oldChart && document.activeElement === oldChart;
  if (!oldChart && old.childElementCount === 0) fresh.classList.toggle("changed", fresh.dataset.tint !== undefined);
  old.replaceWith(fresh);
  attachCharts(fresh);
  const chart = fresh.querySelector("svg[data-buckets]");
  restoreCursor(chart, cursor);
  if (focused) chart?.focus({ preventScroll: true });
}
