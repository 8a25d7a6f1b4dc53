// One cursor on every chart that carries its buckets: pointer or keys move it, <output> says what is
// there. Dragging, + and - zoom by changing the address, so a view can be sent to a colleague.

const MARK = Symbol("attached");

/** Attaches to every chart below `root` that is not attached yet. */
export function attachCharts(root = document) {
  for (const svg of root.querySelectorAll("svg[data-buckets]")) {
    if (!svg[MARK]) svg[MARK] = new Chart(svg);
  }
}

/** Start of the bucket that the cursor of `svg` stands on, so that a new drawing can take it over. */
export const cursorOf = (svg) => svg?.[MARK]?.touchedAt();

/** True while a pointer drags across `svg`: it must not be replaced then. */
export const isDragging = (svg) => svg?.[MARK]?.dragFrom != null;

class Chart {
  constructor(svg) {
    this.svg = svg;
    this.buckets = JSON.parse(svg.dataset.buckets); // [start, end, y, text, quality, note]
    this.from = Number(svg.dataset.from);
    this.to = Number(svg.dataset.to);
    this.height = Number(svg.dataset.height);
    this.output = document.getElementById(svg.dataset.output);
    this.line = svg.querySelector(".cursor");
    this.dot = svg.querySelector(".cursor-dot");
    this.hit = svg.querySelector(".hit");
    this.zooms = svg.closest("[data-zooms]") !== null;
    this.dragFrom = null;
    this.touched = false;
    const time = { hour: "2-digit", minute: "2-digit", timeZone: svg.dataset.zone };
    this.stamp = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", ...time });
    this.clock = new Intl.DateTimeFormat("en-GB", { ...time, timeZoneName: "short" });
    svg.addEventListener("pointermove", (event) => this.moved(event));
    svg.addEventListener("pointerdown", (event) => this.pressed(event));
    svg.addEventListener("pointerup", (event) => this.released(event));
    svg.addEventListener("pointercancel", () => this.endDrag());
    svg.addEventListener("dblclick", () => this.reset());
    svg.addEventListener("keydown", (event) => this.key(event));
    this.show(Number(svg.getAttribute("aria-valuenow")), false);
  }

  touchedAt() {
    return this.touched ? this.buckets[this.at][0] : undefined;
  }

  /** Moves the cursor to the bucket that starts at `seconds`, as a person would. */
  goTo(seconds) {
    this.show(this.indexOf(seconds), true);
  }

  secondsAt(event) {
    const box = this.hit.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return this.from + share * (this.to - this.from);
  }

  /** Index of the last bucket that starts at or before `seconds`. */
  indexOf(seconds) {
    let low = 0;
    let high = this.buckets.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.buckets[middle][0] <= seconds) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  show(index, byPerson) {
    this.at = Math.max(0, Math.min(this.buckets.length - 1, index));
    this.touched ||= byPerson;
    const [start, end, y, text, quality, note] = this.buckets[this.at];
    const x = `${(((start + end) / 2 - this.from) / (this.to - this.from)) * 100}%`;
    const last = end - start >= 86400 ? this.stamp : this.clock;
    const when = `${this.stamp.format(start * 1000)}–${last.format(end * 1000)}`;
    const parts = [when, text, quality, note].filter((part) => part !== "");
    this.svg.classList.toggle("has-cursor", this.touched);
    this.line.setAttribute("x1", x);
    this.line.setAttribute("x2", x);
    this.dot.setAttribute("cx", x);
    this.dot.setAttribute("cy", y ?? this.height);
    this.dot.setAttribute("r", y === null || !this.touched ? 0 : 4);
    this.output?.replaceChildren(...parts.map((part, n) => {
      const element = document.createElement(n === 1 ? "b" : "span");
      element.textContent = part;
      return element;
    }));
    this.svg.setAttribute("aria-valuenow", this.at);
    this.svg.setAttribute("aria-valuetext", parts.join(", "));
    this.svg.dispatchEvent(new CustomEvent("cursor", { bubbles: true, detail: { start, end, byPerson } }));
  }

  moved(event) {
    const seconds = this.secondsAt(event);
    this.show(this.indexOf(seconds), true);
    if (this.dragFrom !== null) this.drawZoom(seconds);
  }

  pressed(event) {
    if (!this.zooms || event.button !== 0) return;
    this.dragFrom = this.secondsAt(event);
    this.svg.setPointerCapture(event.pointerId);
  }

  released(event) {
    if (this.dragFrom === null) return;
    const [a, b] = [this.dragFrom, this.secondsAt(event)].sort((x, y) => x - y);
    this.endDrag();
    // A click, or a shaking hand, is no zoom.
    if ((b - a) / (this.to - this.from) < 0.01) return;
    this.zoomTo(this.buckets[this.indexOf(a)][0], this.buckets[this.indexOf(b)][1]);
  }

  drawZoom(seconds) {
    if (!this.box) {
      this.box = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      this.box.setAttribute("class", "zoom");
      this.box.setAttribute("height", this.height);
      this.svg.insertBefore(this.box, this.line);
    }
    const share = (at) => ((at - this.from) / (this.to - this.from)) * 100;
    const [a, b] = [this.dragFrom, seconds].sort((x, y) => x - y);
    this.box.setAttribute("x", `${share(a)}%`);
    this.box.setAttribute("width", `${share(b) - share(a)}%`);
  }

  endDrag() {
    this.dragFrom = null;
    this.box?.remove();
    this.box = null;
  }

  zoomTo(from, to) {
    const url = new URL(location.href);
    const text = (seconds) => new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
    url.searchParams.delete("range");
    url.searchParams.set("from", text(from));
    url.searchParams.set("to", text(to));
    location.assign(url);
  }

  reset() {
    if (!this.zooms) return;
    const url = new URL(location.href);
    if (!url.searchParams.has("from") && !url.searchParams.has("to")) return;
    url.searchParams.delete("from");
    url.searchParams.delete("to");
    location.assign(url);
  }

  /** Halves or doubles the range around the cursor, on whole buckets. */
  zoomBy(factor) {
    const [start, end] = this.buckets[this.at];
    const length = Math.max((this.to - this.from) * factor, 2 * (end - start));
    const step = this.buckets[0][1] - this.buckets[0][0];
    const from = Math.round(((start + end) / 2 - length / 2) / step) * step;
    this.zoomTo(from, from + Math.round(length / step) * step);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [start] = this.buckets[this.at];
    const moves = {
      ArrowLeft: () => this.at - 1,
      ArrowRight: () => this.at + 1,
      ArrowDown: () => this.at - 1,
      ArrowUp: () => this.at + 1,
      PageUp: () => this.indexOf(start - 86400),
      PageDown: () => this.indexOf(start + 86400),
      Home: () => 0,
      End: () => this.buckets.length - 1,
    };
    if (moves[event.key]) this.show(moves[event.key](), true);
    else if (this.zooms && event.key === "+") this.zoomBy(0.5);
    else if (this.zooms && event.key === "-") this.zoomBy(2);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** Puts the cursor of a new drawing where the old one had it. */
export function restoreCursor(svg, seconds) {
  if (seconds !== undefined) svg?.[MARK]?.goTo(seconds);
}

attachCharts();
