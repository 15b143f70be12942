// Files that are dropped on the page: a video, images, or a folder of them.

async function readFolder(folder) {
  const reader = folder.createReader();
  const files = [];
  for (;;) {
    // A browser gives a hundred entries at a time.
    const entries = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!entries.length) return files;
    for (const entry of entries) {
      if (entry.isFile) files.push(await new Promise((done, failed) => entry.file(done, failed)));
    }
  }
}

async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  const files = [...transfer.files];
  const folder = entries.find((entry) => entry.isDirectory);
  return folder ? readFolder(folder) : files;
}

export function onDrop(target, take) {
  const hover = (on) => target.classList.toggle("dropping", on);
  target.addEventListener("dragover", (event) => {
    event.preventDefault();
    hover(true);
  });
  target.addEventListener("dragleave", () => hover(false));
  target.addEventListener("drop", async (event) => {
    event.preventDefault();
    hover(false);
    take(await dropped(event.dataTransfer));
  });
}
