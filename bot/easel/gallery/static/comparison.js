// Two pictures one upon the other, with a slider between them; a button lays them side by side.

const pair = document.getElementById("pair");
const slider = document.getElementById("slider");
const way = document.getElementById("way");

function lay(isSliding) {
  pair.classList.toggle("sliding", isSliding);
  slider.hidden = !isSliding;
  way.textContent = isSliding ? "Side by side" : "One upon the other";
}

slider.addEventListener("input", () => pair.style.setProperty("--at", slider.value / 100));
way.addEventListener("click", () => lay(slider.hidden));
way.hidden = false;
lay(true);
