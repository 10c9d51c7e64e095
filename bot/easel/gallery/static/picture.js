// One picture: arrow keys and swipes lead on, Escape leads back. Pages are exchanged in place, so that full screen stays.

const FAR_ENOUGH_PX = 60;

const main = document.querySelector("main");
const find = (id) => document.getElementById(id);

let asked = 0;

/** Show a picture's page in place of this one, or the sentence that came instead; not if one asked for another since. */
async function show(request) {
  const turn = (asked += 1);
  const answer = await request;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = page.querySelector(".picture main");
  if (!next) return say(page.querySelector("h1").textContent);
  if (turn !== asked) return;
  const isOther = new URL(answer.url).pathname !== location.pathname;
  const focused = document.activeElement.id;
  main.replaceChildren(...next.childNodes);
  if (focused) find(focused)?.focus();
  document.title = page.title;
  history.replaceState(history.state, "", answer.url);
  if (isOther) scrollTo(0, 0);
  arrange();
}

function go(id) {
  const link = find(id);
  if (link) show(fetch(link.href)).catch(() => location.assign(link.href));
}

function say(text) {
  find("status").textContent = text;
}

/** Show what works only with this script, and have the neighbours' images ready. */
function arrange() {
  find("full").hidden = !document.fullscreenEnabled;
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
  for (const id of ["newer", "older"]) {
    const link = find(id);
    if (link) new Image().src = new URL(link.pathname.replace("/picture/", "/image/"), link.href).href;
  }
}

function leave(event) {
  // Going back finds the grid where one left it.
  if (!history.state?.isFromGrid) return;
  event.preventDefault();
  history.back();
}

async function copy(button) {
  const text = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(text.textContent.trim());
  } catch {
    // Without https there is no clipboard, but a selection can be copied.
    getSelection().selectAllChildren(text);
    document.execCommand("copy");
  }
  say("Copied.");
}

main.addEventListener("click", (event) => {
  const pressed = event.target.closest("a, button");
  if (!pressed || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (pressed.id === "back") leave(event);
  if (pressed.id === "newer" || pressed.id === "older") {
    event.preventDefault();
    go(pressed.id);
  }
  if (pressed.id === "full") {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen();
  }
  if ("copy" in pressed.dataset) copy(pressed);
});

main.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  const body = new URLSearchParams(new FormData(form, event.submitter));
  show(fetch(form.action, { method: "POST", body })).catch(() => say("That did not work. Try it again in a moment."));
});

addEventListener("keydown", (event) => {
  // With Shift, arrows select text.
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.target.closest("pre")) return;
  if (event.key === "ArrowLeft") go("newer");
  if (event.key === "ArrowRight") go("older");
  if (event.key === "Escape" && !document.fullscreenElement) find("back").click();
});

let start = null;
main.addEventListener("touchstart", (event) => {
  const isSwipe = event.touches.length === 1 && event.target.closest(".stage") && (visualViewport?.scale ?? 1) === 1;
  start = isSwipe ? event.touches[0] : null;
}, { passive: true });
main.addEventListener("touchmove", (event) => {
  if (!start) return;
  find("image").classList.add("dragged");
  find("image").style.transform = `translateX(${event.touches[0].clientX - start.clientX}px)`;
}, { passive: true });
for (const kind of ["touchend", "touchcancel"]) {
  main.addEventListener(kind, (event) => {
    if (!start) return;
    const x = event.changedTouches[0].clientX - start.clientX;
    const y = event.changedTouches[0].clientY - start.clientY;
    start = null;
    find("image").classList.remove("dragged");
    find("image").style.transform = "";
    if (kind === "touchend" && Math.abs(x) > FAR_ENOUGH_PX && Math.abs(x) > 2 * Math.abs(y)) {
      go(x > 0 ? "newer" : "older");
    }
  });
}

arrange();
if (sessionStorage.getItem("opened") === location.href) history.replaceState({ isFromGrid: true }, "");
sessionStorage.removeItem("opened");
