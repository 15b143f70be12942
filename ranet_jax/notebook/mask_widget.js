// Draws a frame with outlines on it. In a notebook it reports clicks, and what they mean is decided
// in Python; the page of `ranet web` draws its outlines with the same functions.

const BUTTONS = [
  ["close", "Close outline"],
  ["next_object", "Next object"],
  ["undo", "Undo"],
  ["clear", "Clear"],
];

function trace(context, outline) {
  context.beginPath();
  for (const [x, y] of outline.points) context.lineTo(x, y);
  if (outline.closed) context.closePath();
}

function stroke(context, width, color) {
  context.lineWidth = width;
  context.strokeStyle = color;
  context.stroke();
}

// An outline has points [x, y] in pixels of the canvas, a CSS color, and may be closed; `unit` is
// from `pixelSize`.
export function drawOutline(context, outline, unit) {
  trace(context, outline);
  context.globalAlpha = 0.35;
  context.fillStyle = outline.color;
  context.fill();
  context.globalAlpha = 1;
  stroke(context, 3 * unit, "white");
  stroke(context, 1.5 * unit, outline.color);
  for (const [x, y] of outline.points) {
    context.beginPath();
    context.arc(x, y, 3.5 * unit, 0, 2 * Math.PI);
    context.fill();
    stroke(context, unit, "white");
  }
}

// Pixels of the canvas in one of the page: lines look equally thick however large it is shown.
export function pixelSize(canvas) {
  return canvas.width / (canvas.getBoundingClientRect().width || canvas.width);
}

// Where on the canvas a mouse, pen or finger is, in its pixels.
export function position(canvas, event) {
  const shown = canvas.getBoundingClientRect();
  return [
    ((event.clientX - shown.left) * canvas.width) / shown.width,
    ((event.clientY - shown.top) * canvas.height) / shown.height,
  ];
}

function render({ model, el }) {
  const height = model.get("height");
  const width = model.get("width");
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  Object.assign(canvas.style, { maxWidth: "100%", cursor: "crosshair", display: "block" });
  const status = document.createElement("div");
  const image = new Image();

  function draw() {
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0, width, height);
    const unit = pixelSize(canvas);
    for (const outline of model.get("drawn")) drawOutline(context, outline, unit);
    status.textContent = model.get("status");
  }

  canvas.addEventListener("click", (event) => {
    const [x, y] = position(canvas, event);
    model.send({ action: "click", x, y });
  });
  el.append(canvas);
  for (const [action, text] of BUTTONS) {
    const button = document.createElement("button");
    button.textContent = text;
    button.style.margin = "4px 4px 4px 0";
    button.addEventListener("click", () => model.send({ action }));
    el.append(button);
  }
  el.append(status);

  image.addEventListener("load", draw);
  image.src = model.get("image");
  model.on("change:drawn", draw);
  model.on("change:status", draw);
  return () => {
    model.off("change:drawn", draw);
    model.off("change:status", draw);
  };
}

export default { render };
