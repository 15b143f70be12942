// The frames and masks of the clip, as far as this tab has them.

import { Labels, decode } from "./labels.js";

const KEPT = 60; // decoded frames
const AHEAD = 3;

export class Clip {
  constructor(message, connection, palette) {
    const { width, height, names, known, live } = message;
    Object.assign(this, { width, height, names, live, connection, palette });
    this.known = new Set(known);
    this.images = new Map();
    this.pngs = new Map(); // masks as they came
    this.painted = new Map(); // labels as they were painted
    this.edits = new Set(); // frames that were painted
    this.scores = new Map();
    this.valid = -1; // the last frame whose mask follows from what is painted
  }

  // The image of a frame, and the next ones soon.
  image(frame) {
    for (let next = frame; next < Math.min(frame + AHEAD, this.names.length); next++) {
      if (!this.images.has(next)) this.images.set(next, this.load(next));
    }
    while (this.images.size > KEPT) this.images.delete(this.images.keys().next().value);
    return this.images.get(frame);
  }

  async load(frame) {
    const response = await this.connection.fetch(`frames/${frame}`);
    return createImageBitmap(await response.blob());
  }

  // The ids of a frame: painted, found, or none.
  async labels(frame) {
    if (this.painted.has(frame)) return this.painted.get(frame).copy();
    if (!this.pngs.has(frame) && frame <= this.valid) await this.fetchMask(frame);
    if (!this.pngs.has(frame)) return new Labels(this.width, this.height);
    return decode(this.pngs.get(frame), this.palette);
  }

  async fetchMask(frame) {
    const response = await this.connection.fetch(`masks/${frame}`).catch(() => null);
    if (response) this.pngs.set(frame, await response.arrayBuffer());
  }

  paint(frame, labels) {
    this.painted.set(frame, labels.copy());
    this.invalidate(frame - 1);
  }

  // Masks after `frame` do not follow from what is painted any more.
  invalidate(frame) {
    this.valid = Math.min(this.valid, frame);
    for (const other of this.pngs.keys()) if (other > frame) this.pngs.delete(other);
  }

  // A mask that was found takes the place of what was painted in its frame: it has it in it.
  found({ frame, png }) {
    this.pngs.set(frame, png);
    this.painted.delete(frame);
    this.valid = Math.max(this.valid, frame);
  }

  masked(frame) {
    return this.painted.has(frame) || frame <= this.valid;
  }
}
