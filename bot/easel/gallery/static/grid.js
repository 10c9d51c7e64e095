// The grid: older pictures come while one scrolls, and the place is kept on going back.

const days = document.getElementById("days");

/** Say how many pictures are ticked, and offer what can be done with so many. */
function showSelected() {
  const form = document.getElementById("selection");
  const number = form?.querySelectorAll("input:checked").length;
  if (!form) return;
  const [download, compare] = form.querySelectorAll(".below button");
  download.disabled = number === 0;
  compare.disabled = number !== 2;
  const texts = ["Tick pictures to take them home, or two to compare.", "1 picture. Tick another to compare."];
  document.getElementById("selected").textContent = texts[number] ?? `${number} pictures`;
}

/** Append the page behind "Older pictures"; a day that continues gets its pictures below its own heading. */
async function showOlder(more) {
  const answer = await fetch(more.dataset.next);
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  // What was ticked on the way here stands above already.
  for (const box of page.querySelectorAll("#days input")) {
    if (document.querySelector(`#selection [value="${box.value}"]`)) box.closest("li").remove();
  }
  for (const day of page.querySelectorAll("#days > section")) {
    const last = days.lastElementChild;
    if (last?.dataset.date === day.dataset.date) {
      last.querySelector("ul").append(...day.querySelectorAll("li"));
    } else {
      days.append(day);
    }
  }
  const next = page.getElementById("more");
  if (next) more.replaceWith(next);
  else more.parentElement.remove();
}

/** Load as many pages as there were when one left, then return to the place. */
async function restore() {
  const { pages = 0, y = 0 } = history.state ?? {};
  while (loaded < pages && document.getElementById("more")) await load();
  if (pages) scrollTo(0, y);
}

let loaded = 0;
let loading = null;

function load() {
  loading ??= showOlder(document.getElementById("more"))
    .then(() => (loaded += 1))
    .finally(() => (loading = null));
  return loading;
}

history.scrollRestoration = history.state?.pages ? "manual" : "auto";
addEventListener("pagehide", () => history.replaceState({ pages: loaded, y: scrollY }, ""));
addEventListener("change", showSelected);
days.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (link) sessionStorage.setItem("opened", link.href);
});
showSelected();

try {
  await restore();
} catch {
  // "Older pictures" is still there.
}

const near = new IntersectionObserver(
  async ([entry]) => {
    if (!entry.isIntersecting) return;
    near.disconnect();
    try {
      await load();
      watch();
    } catch {
      // Pressing "Older pictures" tries again.
    }
  },
  { rootMargin: "1500px" },
);

/** Load older pictures when the way to them comes near. */
function watch() {
  const more = document.getElementById("more");
  if (more) near.observe(more);
}

watch();
