// Ids of a frame: one byte a pixel, 0 for the background. Pure: nothing here knows of a page.

export class Labels {
  constructor(width, height, ids = new Uint8Array(width * height)) {
    Object.assign(this, { width, height, ids });
  }

  copy() {
    return new Labels(this.width, this.height, this.ids.slice());
  }

  equals(other) {
    return other !== null && this.ids.every((id, index) => id === other.ids[index]);
  }

  present() {
    const seen = new Uint8Array(256);
    for (const id of this.ids) seen[id] = 1;
    return [...seen.keys()].filter((id) => id > 0 && seen[id]);
  }

  // A stroke of a round brush: every pixel whose center is within `radius` of the line. An eraser
  // gives the id 0.
  stroke([x0, y0], [x1, y1], radius, id) {
    const top = Math.max(0, Math.floor(Math.min(y0, y1) - radius));
    const bottom = Math.min(this.height - 1, Math.ceil(Math.max(y0, y1) + radius));
    const left = Math.max(0, Math.floor(Math.min(x0, x1) - radius));
    const right = Math.min(this.width - 1, Math.ceil(Math.max(x0, x1) + radius));
    const [dx, dy] = [x1 - x0, y1 - y0];
    const length = dx * dx + dy * dy;
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        const [px, py] = [x + 0.5 - x0, y + 0.5 - y0];
        const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
        const [ox, oy] = [px - along * dx, py - along * dy];
        if (ox * ox + oy * oy <= radius * radius) this.ids[y * this.width + x] = id;
      }
    }
  }

  // Every pixel whose center the points enclose, by the even-odd rule.
  polygon(points, id) {
    for (let y = 0; y < this.height; y++) {
      const crossings = [];
      points.forEach(([x0, y0], index) => {
        const [x1, y1] = points[(index + 1) % points.length];
        const middle = y + 0.5;
        if (y0 <= middle !== y1 <= middle) {
          crossings.push(x0 + ((middle - y0) * (x1 - x0)) / (y1 - y0));
        }
      });
      crossings.sort((a, b) => a - b);
      for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
        const first = Math.max(0, Math.ceil(crossings[pair] - 0.5));
        const last = Math.min(this.width - 1, Math.ceil(crossings[pair + 1] - 0.5) - 1);
        for (let x = first; x <= last; x++) this.ids[y * this.width + x] = id;
      }
    }
  }

  replace(id, other) {
    this.ids.forEach((present, index) => {
      if (present === id) this.ids[index] = other;
    });
  }
}

function contextOf(width, height) {
  return new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
}

// The ids of a palette PNG, told by its colors: no two ids share one.
export async function decode(png, palette) {
  const options = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const image = await createImageBitmap(new Blob([png], { type: "image/png" }), options);
  const context = contextOf(image.width, image.height);
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  const known = new Map(palette.map(([r, g, b], id) => [(r << 16) | (g << 8) | b, id]));
  const labels = new Labels(image.width, image.height);
  let [color, id] = [0, 0];
  for (let index = 0; index < labels.ids.length; index++) {
    const found = (data[4 * index] << 16) | (data[4 * index + 1] << 8) | data[4 * index + 2];
    if (found !== color) [color, id] = [found, known.get(found) ?? 0];
    labels.ids[index] = id;
  }
  return labels;
}

// A PNG whose gray values are the ids.
export async function encode(labels) {
  const context = contextOf(labels.width, labels.height);
  const image = context.createImageData(labels.width, labels.height);
  labels.ids.forEach((id, index) => image.data.set([id, id, id, 255], 4 * index));
  context.putImageData(image, 0, 0);
  const blob = await context.canvas.convertToBlob({ type: "image/png" });
  return blob.arrayBuffer();
}

// The colors over a frame, with nearly white edges, as the overlay video has them.
export function tint(labels, palette, context) {
  const { width, height, ids } = labels;
  const image = context.createImageData(width, height);
  const pixels = image.data;
  for (let index = 0; index < ids.length; index++) {
    const id = ids[index];
    if (!id) continue;
    const column = index % width;
    const edge =
      (column > 0 && ids[index - 1] !== id) ||
      (column < width - 1 && ids[index + 1] !== id) ||
      (index >= width && ids[index - width] !== id) ||
      (index < ids.length - width && ids[index + width] !== id);
    const [r, g, b] = palette[id];
    const white = edge ? 166 : 0;
    const share = edge ? 0.35 : 1;
    pixels[4 * index] = share * r + white;
    pixels[4 * index + 1] = share * g + white;
    pixels[4 * index + 2] = share * b + white;
    pixels[4 * index + 3] = edge ? 255 : 115;
  }
  context.putImageData(image, 0, 0);
}
