// Frames of the camera: one to paint on, then as many as can be followed.

const WIDTH = 640;
const QUALITY = 0.9;
const RATE = 15; // frames per second that are offered
const BEHIND = 1 << 20; // bytes that wait to be sent: then frames are dropped here already

export class Camera {
  constructor(connection) {
    this.connection = connection;
    this.video = document.createElement("video");
    Object.assign(this.video, { muted: true, playsInline: true });
    this.count = 0;
    this.sent = new Map(); // images that have no mask yet, by count
  }

  async open() {
    const constraints = { video: { width: { ideal: WIDTH } }, audio: false };
    this.stream = await navigator.mediaDevices.getUserMedia(constraints);
    this.video.srcObject = this.stream;
    await this.video.play();
  }

  // Sends what the camera sees now.
  async send() {
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(1, WIDTH / videoWidth);
    const size = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
    const canvas = new OffscreenCanvas(...size);
    canvas.getContext("2d").drawImage(this.video, 0, 0, ...size);
    const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
    const count = this.count++;
    if (count) this.sent.set(count, createImageBitmap(blob));
    await this.connection.sendCameraFrame(count, await blob.arrayBuffer());
  }

  // The image of a mask; those before it were dropped.
  take(count) {
    const image = this.sent.get(count);
    for (const other of this.sent.keys()) if (other <= count) this.sent.delete(other);
    return image;
  }

  start() {
    if (this.timer) return;
    this.timer = setInterval(() => {
      if (this.connection.waiting < BEHIND) this.send();
    }, 1000 / RATE);
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.sent.clear();
  }

  stop() {
    this.pause();
    for (const track of this.stream?.getTracks() ?? []) track.stop();
  }
}
