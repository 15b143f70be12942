// The frame with its masks, and the tools that change them: by mouse, pen, finger or keyboard.

import { drawOutline, pixelSize, position } from "./drawing.js";
import { tint } from "./labels.js";

const CLOSING = 0.015; // of the longer side: a point this near the first one closes a polygon
const HISTORY = 30;
const STEP = 8; // pixels of the frame that an arrow key moves the cursor by; 1 with Shift
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Stage {
  // `changed` is told when a stroke, a polygon or an undo is done.
  constructor(canvas, changed) {
    Object.assign(this, { canvas, changed, tool: "brush", id: 1, radius: 12, palette: [] });
    Object.assign(this, { image: null, labels: null, points: [], history: [], cursor: null });
    this.tinted = new OffscreenCanvas(1, 1);
    this.drawing = false;
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    canvas.addEventListener("pointerup", () => this.up());
    canvas.addEventListener("pointercancel", () => this.up());
    canvas.addEventListener("pointerleave", () => this.point(null));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => this.up());
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  // Another frame; what was undone in the one before stays so.
  show(image, labels) {
    Object.assign(this, { image, labels, points: [], history: [] });
    this.canvas.width = this.tinted.width = labels.width;
    this.canvas.height = this.tinted.height = labels.height;
    this.canvas.style.setProperty("--ratio", labels.width / labels.height);
    this.refresh();
  }

  refresh() {
    tint(this.labels, this.palette, this.tinted.getContext("2d"));
    this.draw();
  }

  draw() {
    if (!this.image || !this.labels) return;
    const context = this.canvas.getContext("2d");
    context.drawImage(this.image, 0, 0, this.canvas.width, this.canvas.height);
    context.drawImage(this.tinted, 0, 0);
    const unit = pixelSize(this.canvas);
    const color = this.color();
    if (this.points.length) drawOutline(context, { points: this.points, color }, unit);
    if (this.cursor) this.drawCursor(context, unit, color);
  }

  drawCursor(context, unit, color) {
    const [x, y] = this.cursor;
    const radius = this.tool === "polygon" ? 4 * unit : this.radius;
    for (const [width, style] of [[3, "white"], [1.5, this.tool === "eraser" ? "black" : color]]) {
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
      context.lineWidth = width * unit;
      context.strokeStyle = style;
      context.stroke();
    }
  }

  color() {
    const [r, g, b] = this.palette[this.id] ?? [255, 0, 0];
    return `rgb(${r}, ${g}, ${b})`;
  }

  point(at) {
    this.cursor = at;
    this.draw();
  }

  down(event) {
    if (!this.labels || event.button) return;
    event.preventDefault();
    this.canvas.focus();
    this.canvas.setPointerCapture(event.pointerId);
    this.begin(position(this.canvas, event));
  }

  move(event) {
    if (!this.labels) return;
    this.go(position(this.canvas, event));
  }

  begin(at) {
    this.cursor = at;
    if (this.tool === "polygon") {
      this.addPoint(at);
    } else {
      this.remember();
      this.drawing = true;
      this.paint(at, at);
    }
  }

  go(at) {
    if (this.drawing) this.paint(this.cursor, at);
    this.point(at);
  }

  up() {
    if (!this.drawing) return;
    this.drawing = false;
    this.changed();
  }

  paint(from, to) {
    this.labels.stroke(from, to, this.radius, this.tool === "eraser" ? 0 : this.id);
    this.refresh();
  }

  addPoint(at) {
    const near = CLOSING * Math.max(this.canvas.width, this.canvas.height);
    const [first] = this.points;
    if (this.points.length > 2 && Math.hypot(at[0] - first[0], at[1] - first[1]) <= near) {
      this.closePolygon();
    } else {
      this.points.push(at);
      this.draw();
    }
  }

  closePolygon() {
    if (this.points.length < 3) return;
    this.remember();
    this.labels.polygon(this.points, this.id);
    this.points = [];
    this.refresh();
    this.changed();
  }

  erase(id) {
    this.remember();
    this.labels.replace(id, 0);
    this.refresh();
    this.changed();
  }

  clear() {
    this.remember();
    this.labels.ids.fill(0);
    this.points = [];
    this.refresh();
    this.changed();
  }

  remember() {
    this.history.push(this.labels.copy());
    if (this.history.length > HISTORY) this.history.shift();
  }

  undo() {
    if (this.points.length) {
      this.points.pop();
      this.draw();
    } else if (this.history.length) {
      this.labels = this.history.pop();
      this.refresh();
      this.changed();
    }
  }

  choose(tool) {
    this.up();
    this.tool = tool;
    this.points = [];
    this.draw();
  }

  // With the keyboard: arrows move the cursor, Enter lowers and lifts the brush, or sets a point.
  key(event) {
    if (!this.labels || event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS[event.key];
    if (arrow) {
      const step = event.shiftKey ? 1 : STEP;
      const [x, y] = this.cursor ?? [this.canvas.width / 2, this.canvas.height / 2];
      const clip = (value, end) => Math.min(Math.max(value, 0), end);
      this.go([
        clip(x + step * arrow[0], this.canvas.width),
        clip(y + step * arrow[1], this.canvas.height),
      ]);
    } else if (event.key === "Enter") {
      if (this.drawing) this.up();
      else this.begin(this.cursor ?? [this.canvas.width / 2, this.canvas.height / 2]);
    } else if (event.key === "c") {
      this.closePolygon();
    } else if (event.key === "Escape") {
      this.up();
      this.points = [];
      this.draw();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }
}
