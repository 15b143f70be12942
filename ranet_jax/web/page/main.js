// The page: what the buttons and keys do, and what the server's messages change.

import { Camera } from "./camera.js";
import { Clip } from "./clip.js";
import { Connection } from "./connection.js";
import { onDrop } from "./files.js";
import { encode } from "./labels.js";
import { Stage } from "./stage.js";

const OBJECTS = 16;
const get = (id) => document.getElementById(id);
const stage = new Stage(get("canvas"), painted);
const connection = new Connection(receive);
let palette = [];
let clip = null;
let camera = null;
let frame = 0;
let tracking = false;
let following = true; // whether the frame shown is the one found last
let objects = 1; // how many there are to choose from
let sending = Promise.resolve(); // painted frames on their way
let wanted = null; // the frame to show next
let showing = null;

function tell(text) {
  get("status").textContent = text;
}

function fail(text) {
  get("error").textContent = text;
  get("error").hidden = !text;
}

// Runs what a button does; what goes wrong is told in a sentence.
async function attempt(action) {
  fail("");
  try {
    await action();
  } catch (error) {
    tell("");
    fail(error.message);
  }
}

// Frames are shown one after the other; those that come in between are left out.
function show(number) {
  wanted = number;
  showing ??= (async () => {
    while (wanted !== null) {
      const next = wanted;
      wanted = null;
      const [image, labels] = await Promise.all([clip.image(next), clip.labels(next)]);
      frame = next;
      stage.show(image, labels);
      showPlace();
    }
  })().finally(() => (showing = null));
  return showing;
}

function showPlace() {
  const last = clip.names.length - 1;
  Object.assign(get("frame"), { max: last, value: frame, disabled: last < 1 });
  get("where").value = `${clip.names[frame]} (${frame + 1} of ${last + 1})`;
  get("previous").disabled = frame === 0;
  get("next").disabled = frame === last;
  for (const id of stage.labels.present()) objects = Math.max(objects, Math.min(id, OBJECTS));
  showObjects();
  showScore();
  drawStrip();
}

function showScore() {
  const scores = clip.scores.get(frame);
  const text = scores ? Object.entries(scores).map(([id, j]) => `${id}: ${j.toFixed(3)}`) : [];
  get("score").value = text.length ? `J ${text.join("  ")}` : "";
}

// One column a frame: painted, found, or neither; a mark below where the mask is known.
function drawStrip() {
  const strip = get("strip");
  strip.hidden = false;
  strip.width = clip.names.length;
  const context = strip.getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(`--${name}`);
  for (let index = 0; index < clip.names.length; index++) {
    const kind = clip.edits.has(index) ? "painted" : clip.masked(index) ? "found" : null;
    if (kind) {
      context.fillStyle = color(kind);
      context.fillRect(index, 0, 1, 6);
    } else if (clip.known.has(index)) {
      context.fillStyle = color("known");
      context.fillRect(index, 4, 1, 2);
    }
  }
}

function showObjects() {
  const chips = [];
  for (let id = 1; id <= objects; id++) {
    const label = document.createElement("label");
    const radio = document.createElement("input");
    const swatch = document.createElement("span");
    label.className = "choice";
    swatch.className = "swatch";
    swatch.style.background = `rgb(${palette[id].join(", ")})`;
    Object.assign(radio, { type: "radio", name: "object", value: id, checked: id === stage.id });
    radio.addEventListener("change", () => choose(id));
    label.append(radio, swatch, String(id));
    chips.push(label);
  }
  const focused = document.activeElement?.name === "object";
  get("ids").replaceChildren(...chips);
  if (focused) get("ids").querySelector(":checked")?.focus();
}

function choose(id) {
  stage.id = id;
  objects = Math.max(objects, id);
  showObjects();
  stage.draw();
}

function chooseTool(tool) {
  document.querySelector(`[name="tool"][value="${tool}"]`).checked = true;
  stage.choose(tool);
}

function changeSize(size) {
  get("size").value = size;
  stage.radius = Number(get("size").value);
  stage.draw();
}

function goTo(number) {
  if (!clip || number < 0 || number >= clip.names.length) return;
  following = false;
  show(number);
}

// The stage changed the frame that is shown.
function painted() {
  const [number, labels] = [frame, stage.labels.copy()];
  if (tracking) connection.act("pause");
  clip.paint(number, labels);
  drawStrip();
  sending = sending.then(async () => connection.sendMask(number, await encode(labels)));
}

async function toggle() {
  if (!clip) return;
  if (tracking) {
    connection.act("pause");
    return;
  }
  stage.closePolygon();
  following = true;
  tell("Starting …");
  await sending;
  connection.act("track");
  if (clip.live) camera.start();
}

async function open(files) {
  if (!files.length) return;
  tell(`Sending ${files.length === 1 ? files[0].name : `${files.length} files`} …`);
  closeCamera();
  await connection.upload("clip", files);
}

async function openCamera() {
  if (clip?.live) {
    closeCamera();
    return;
  }
  camera = new Camera(connection);
  await camera.open();
  connection.act("camera");
  await camera.send();
  get("camera").textContent = "Stop camera";
}

function closeCamera() {
  if (clip?.live) connection.act("stop");
  camera?.stop();
  camera = null;
  get("camera").textContent = "Camera";
}

async function showCommand() {
  const response = await connection.fetch("command");
  get("command").textContent = await response.text();
}

function showDownloads() {
  get("downloads").disabled = clip.valid < 0;
  for (const link of document.querySelectorAll("[data-file]")) {
    link.href = connection.address(`download/${link.dataset.file}`);
    link.tabIndex = clip.valid < 0 ? -1 : 0;
  }
  if (clip.valid >= 0) showCommand();
}

const receivers = {
  session(message) {
    palette = stage.palette = message.palette;
    showObjects();
  },

  async clip(message) {
    if (message.again && clip) {
      clip.live = message.live;
      return;
    }
    clip = new Clip(message, connection, palette);
    [objects, following] = [1, true];
    choose(1);
    for (const id of ["tools", "objects", "compare", "track"]) get(id).disabled = false;
    tell("Paint an object, then press Track.");
    showDownloads();
    await show(0);
    get("canvas").hidden = false; // of the frame's shape by now
    get("welcome").hidden = true;
    get("canvas").focus();
  },

  async mask(message) {
    if (message.count !== null && message.frame >= clip.names.length) {
      clip.names.push(String(message.frame).padStart(5, "0"));
      clip.images.set(message.frame, camera?.take(message.count));
    }
    clip.found(message);
    if (!following) {
      drawStrip();
      return;
    }
    await show(message.frame);
    // After the frame of the screen that has it: for whoever looks at the page's timings.
    requestAnimationFrame(() =>
      setTimeout(() => {
        const start = message.made - performance.timeOrigin;
        const times = { start, end: performance.now(), detail: message.frame };
        performance.measure("mask to pixels", times);
      }),
    );
  },

  scores({ scores, known }) {
    if (known) clip.known = new Set(known);
    for (const [number, values] of Object.entries(scores)) clip.scores.set(Number(number), values);
    showPlace();
  },

  painted({ frames, valid }) {
    clip.edits = new Set(frames);
    clip.valid = valid;
    drawStrip();
    showDownloads();
  },

  progress({ state, valid, rate, left }) {
    tracking = !["paused", "done"].includes(state);
    get("track").textContent = tracking ? "Pause" : "Track";
    get("track").setAttribute("aria-pressed", tracking);
    const words = { loading: "Loading the network …", compiling: "Compiling (the first time) …" };
    const speed = rate ? `, ${rate.toFixed(2)} frames per second` : "";
    const time = left ? `, ${Math.ceil(left)} s left` : "";
    tell(words[state] ?? state[0].toUpperCase() + state.slice(1) + speed + time);
    if (tracking) return;
    camera?.pause();
    clip.valid = valid;
    showDownloads();
    drawStrip();
  },

  error({ message }) {
    if (!tracking) tell("");
    fail(message);
  },

  closed({ message }) {
    fail(message);
    tracking = false;
    for (const id of ["tools", "objects", "compare", "downloads", "track"]) get(id).disabled = true;
  },
};

function receive(message) {
  attemptQuietly(() => receivers[message.type](message));
}

async function attemptQuietly(action) {
  try {
    await action();
  } catch (error) {
    fail(error.message);
  }
}

function chosen(id, take) {
  get(id).addEventListener("change", async (event) => {
    const files = [...event.target.files];
    event.target.value = "";
    attempt(() => take(files));
  });
}

chosen("open-video", open);
chosen("open-frames", open);
chosen("open-folder", (files) => open(files.filter((file) => /^(image|video)\//.test(file.type))));
chosen("known", (files) => connection.upload("known", files));
onDrop(document.body, (files) => attempt(() => open(files)));

const buttons = {
  camera: openCamera,
  example: async () => {
    closeCamera();
    tell("Rendering the example …");
    await connection.act("example");
  },
  track: toggle,
  previous: () => goTo(frame - 1),
  next: () => goTo(frame + 1),
  undo: () => stage.undo(),
  "close-polygon": () => stage.closePolygon(),
  clear: () => stage.clear(),
  add: () => choose(Math.min(OBJECTS, objects + 1)),
  remove: () => stage.erase(stage.id),
};
for (const [id, action] of Object.entries(buttons)) {
  get(id).addEventListener("click", () => attempt(action));
}
get("frame").addEventListener("input", (event) => goTo(Number(event.target.value)));
get("size").addEventListener("input", (event) => changeSize(event.target.value));
for (const radio of document.querySelectorAll('[name="tool"]')) {
  radio.addEventListener("change", () => stage.choose(radio.value));
}

const keys = {
  b: () => chooseTool("brush"),
  e: () => chooseTool("eraser"),
  p: () => chooseTool("polygon"),
  "[": () => changeSize(stage.radius - 2),
  "]": () => changeSize(stage.radius + 2),
  ",": () => goTo(frame - 1),
  ".": () => goTo(frame + 1),
  " ": toggle,
};
document.addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (!clip || event.altKey) return;
  if ((event.ctrlKey || event.metaKey) && key === "z") {
    stage.undo();
  } else if (event.ctrlKey || event.metaKey) {
    return;
  } else if (key === " " && target.closest("button, a, summary, input, label")) {
    return; // what Space does there
  } else if (/^[1-9]$/.test(key)) {
    choose(Number(key));
  } else if (keys[key]) {
    attempt(keys[key]);
  } else {
    return;
  }
  event.preventDefault();
});
