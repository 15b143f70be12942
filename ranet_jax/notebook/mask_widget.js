// Draws the frame with its outlines and reports clicks; what they mean is decided in Python.

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

function stroke(context, width, colour) {
  context.lineWidth = width;
  context.strokeStyle = colour;
  context.stroke();
}

function drawOutline(context, outline, unit) {
  trace(context, outline);
  context.globalAlpha = 0.35;
  context.fillStyle = outline.colour;
  context.fill();
  context.globalAlpha = 1;
  stroke(context, 3 * unit, "white");
  stroke(context, 1.5 * unit, outline.colour);
  for (const [x, y] of outline.points) {
    context.beginPath();
    context.arc(x, y, 3.5 * unit, 0, 2 * Math.PI);
    context.fill();
    stroke(context, unit, "white");
  }
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
    // Lines look equally thick however large the frame is shown.
    const unit = width / (canvas.getBoundingClientRect().width || width);
    for (const outline of model.get("drawn")) drawOutline(context, outline, unit);
    status.textContent = model.get("status");
  }

  canvas.addEventListener("click", (event) => {
    const shown = canvas.getBoundingClientRect();
    const x = ((event.clientX - shown.left) * width) / shown.width;
    const y = ((event.clientY - shown.top) * height) / shown.height;
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
