// To the server and back: one WebSocket for what happens, HTTP for files.

const HEADER = 13; // bytes: kind, frame, time
export const MASK = 1;
const CAMERA_FRAME = 2;
const CAMERA_MASK = 3;

function pack(kind, frame, image) {
  const message = new Uint8Array(HEADER + image.byteLength);
  const view = new DataView(message.buffer);
  view.setUint8(0, kind);
  view.setUint32(1, frame, true);
  view.setFloat64(5, Date.now(), true);
  message.set(new Uint8Array(image), HEADER);
  return message;
}

function unpack(data) {
  const view = new DataView(data);
  const camera = view.getUint8(0) === CAMERA_MASK;
  return {
    type: "mask",
    frame: view.getUint32(1, true),
    made: view.getFloat64(5, true),
    count: camera ? view.getUint32(HEADER, true) : null,
    png: data.slice(HEADER + (camera ? 4 : 0)),
  };
}

export class Connection {
  // Messages are objects with a type, also those that come in binary. What is asked for before the
  // server has given the page its session waits for it.
  constructor(receive) {
    const address = new URL("socket", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    const gone = "The connection to ranet web is gone: start it again, then reload the page.";
    this.session = new Promise((begun, failed) => {
      this.socket.addEventListener("message", ({ data }) => {
        const message = typeof data === "string" ? JSON.parse(data) : unpack(data);
        if (message.type === "session") {
          this.name = message.name;
          begun();
        }
        receive(message);
      });
      this.socket.addEventListener("close", () => {
        failed(new Error(gone));
        receive({ type: "closed", message: gone });
      });
    });
    this.session.catch(() => {}); // told by "closed"
  }

  async send(data) {
    await this.session;
    this.socket.send(data);
  }

  act(action) {
    return this.send(JSON.stringify({ action }));
  }

  sendMask(frame, png) {
    return this.send(pack(MASK, frame, png));
  }

  sendCameraFrame(count, jpeg) {
    return this.send(pack(CAMERA_FRAME, count, jpeg));
  }

  // What waits to be sent, in bytes.
  get waiting() {
    return this.socket.bufferedAmount;
  }

  address(path) {
    return `${this.name}/${path}`;
  }

  // The response, or an error with the server's sentence.
  async fetch(path, options) {
    await this.session;
    const response = await fetch(this.address(path), options);
    if (response.ok) return response;
    const told = await response.json().catch(() => ({}));
    throw new Error(told.error ?? `The server answered ${response.status}.`);
  }

  upload(path, files) {
    const body = new FormData();
    for (const file of files) body.append("files", file, file.name);
    return this.fetch(path, { method: "POST", body });
  }
}
