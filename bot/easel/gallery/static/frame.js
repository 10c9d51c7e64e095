// The slide show: fetches the next page, and shows its picture when it is ready. A failure keeps the picture.

const main = document.querySelector("main");
const waits = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

async function showNext() {
  const answer = await fetch(main.dataset.next);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  // Only the gallery itself says that a frame has ended. maubot has no such page while it updates the plugin.
  if (answer.status === 404 && page.querySelector(".note")) return location.reload();
  const next = page.querySelector(".frame main");
  const shown = next.querySelector("img");
  if (shown) await Object.assign(new Image(), { src: shown.src }).decode();
  main.dataset.next = next.dataset.next;
  main.replaceChildren(...next.childNodes);
}

// A tablet that shows pictures should not go to sleep; it lets us only while the page is seen.
const stayAwake = () => navigator.wakeLock?.request("screen").catch(() => {});
document.addEventListener("visibilitychange", stayAwake);
stayAwake();

for (;;) {
  await waits(Number(main.dataset.seconds));
  await showNext().catch(() => {});
}
