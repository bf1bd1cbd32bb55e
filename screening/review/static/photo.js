"use strict";
// The photo's page: enlarging, the heat map, the search for a disease, single keys, drafts, the next photo fetched ahead.
// Without this script the form still works: the server finds the disease by its name.

const desk = document.querySelector(".desk");
const answer = document.querySelector("[data-answer]");

// ---- the photo ------------------------------------------------------------------------------------------------------

const view = document.querySelector("[data-view]");
const picture = document.querySelector("[data-picture]");
const level = document.querySelector("[data-level]");
const MOST = 12;
let scale = 1, left = 0, top_ = 0;

function place() {
  // Nothing of the view may be empty while the photo is larger than it.
  left = Math.min(0, Math.max(view.clientWidth * (1 - scale), left));
  top_ = Math.min(0, Math.max(view.clientHeight * (1 - scale), top_));
  picture.style.transform = scale === 1 ? "" : `translate(${left}px, ${top_}px) scale(${scale})`;
  view.classList.toggle("enlarged", scale > 1);
  level.textContent = `${Math.round(scale * 100)} %`;
}

function enlarge(factor, x = view.clientWidth / 2, y = view.clientHeight / 2) {
  const next = Math.min(MOST, Math.max(1, scale * factor));
  left = x - (x - left) * (next / scale);
  top_ = y - (y - top_) * (next / scale);
  scale = next;
  place();
}

function wholePhoto() { scale = 1; left = top_ = 0; place(); }
function move(x, y) { left += x; top_ += y; place(); }

const zooms = { in: () => enlarge(1.5), out: () => enlarge(1 / 1.5), fit: wholePhoto };
for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", zooms[button.dataset.zoom]);

function at(event) {
  const box = view.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

view.addEventListener("wheel", (event) => {
  event.preventDefault();
  enlarge(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), ...at(event));
}, { passive: false });
view.addEventListener("dblclick", (event) => (scale > 1 ? wholePhoto() : enlarge(3, ...at(event))));

const fingers = new Map();
view.addEventListener("pointerdown", (event) => {
  fingers.set(event.pointerId, at(event));
  if (scale > 1 || fingers.size > 1) view.setPointerCapture(event.pointerId);
});
view.addEventListener("pointermove", (event) => {
  if (!fingers.has(event.pointerId)) return;
  const before = [...fingers.values()];
  const old = fingers.get(event.pointerId);
  const now = at(event);
  fingers.set(event.pointerId, now);
  if (fingers.size === 2) {
    const after = [...fingers.values()];
    const apart = (two) => Math.hypot(two[0][0] - two[1][0], two[0][1] - two[1][1]);
    const middle = (two) => [(two[0][0] + two[1][0]) / 2, (two[0][1] + two[1][1]) / 2];
    const [x, y] = middle(after), [x0, y0] = middle(before);
    enlarge(apart(after) / Math.max(1, apart(before)), x, y);
    move(x - x0, y - y0);
  } else if (scale > 1) {
    view.classList.add("moving");
    move(now[0] - old[0], now[1] - old[1]);
  }
});
for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
  view.addEventListener(name, (event) => { fingers.delete(event.pointerId); view.classList.remove("moving"); });
}
view.addEventListener("dragstart", (event) => event.preventDefault());
view.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  if (scale > 1 && steps[event.key]) { event.preventDefault(); move(...steps[event.key]); }
});
addEventListener("resize", place);

const heat = document.querySelector("[data-heat-map]");
if (heat) {
  const photo = picture.src;
  const status = document.querySelector("[data-heat-map-status]");
  heat.addEventListener("click", () => {
    const isOn = heat.getAttribute("aria-pressed") === "true";
    status.textContent = "";
    if (isOn) { picture.src = photo; heat.setAttribute("aria-pressed", "false"); return; }
    const loading = new Image();
    loading.onload = () => { picture.src = loading.src; heat.setAttribute("aria-pressed", "true"); };
    loading.onerror = () => { status.textContent = "None was drawn for this photo"; };
    loading.src = heat.dataset.heatMap;
  });
}

// ---- the disease ----------------------------------------------------------------------------------------------------

let diseases = null;
const plain = (text) => text.normalize("NFD").replace(/[\u0300-\u036f'’]/g, "").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();

async function loadDiseases() {
  diseases ??= fetch(`${desk.dataset.root}/diseases.json`, { credentials: "same-origin" })
    .then((found) => { if (!found.ok) throw new Error(String(found.status)); return found.json(); })
    .then((list) => list.map((d) => ({ ...d, words: [d.name, d.id, ...d.labels].map((said) => ({ said, plain: plain(said) })) })))
    .catch(() => { diseases = null; return []; });
  return diseases;
}

function rank(disease, asked) {
  // A name that starts with what is asked comes first, then one of whose words does, then what holds it anywhere.
  let best = null;
  disease.words.forEach(({ said, plain: word }, index) => {
    const place = word === asked ? 0 : word.startsWith(asked) ? 1 : ` ${word}`.includes(` ${asked}`) ? 2 : asked.length > 2 && word.includes(asked) ? 3 : null;
    if (place === null) return;
    const score = place * 2 + (index > 0 ? 1 : 0);
    if (best === null || score < best.score) best = { score, by: index > 0 ? said : "" };
  });
  return best;
}

const GRADES = { low_risk: "low risk", high_risk: "high risk", dangerous: "dangerous" };

function combobox(box) {
  const input = box.querySelector("input");
  const list = box.querySelector("[role=listbox]");
  const status = box.querySelector("[data-combobox-status]");
  let shown = [], active = -1;

  function close() { list.hidden = true; active = -1; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); }

  function mark(index) {
    active = index;
    [...list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === index)));
    if (index < 0) { input.removeAttribute("aria-activedescendant"); return; }
    input.setAttribute("aria-activedescendant", list.children[index].id);
    list.children[index].scrollIntoView({ block: "nearest" });
  }

  function choose(disease) {
    input.value = disease.name;
    close();
    input.dispatchEvent(new CustomEvent("chosen", { bubbles: true, detail: disease }));
  }

  async function search() {
    const asked = plain(input.value);
    const all = await loadDiseases();
    if (plain(input.value) !== asked) return;
    if (!asked) { status.textContent = ""; close(); return; }
    shown = all.map((disease) => ({ disease, found: rank(disease, asked) })).filter(({ found }) => found)
      .sort((a, b) => a.found.score - b.found.score || a.disease.name.length - b.disease.name.length).slice(0, 12);
    list.replaceChildren(...shown.map(({ disease, found }, index) => {
      const option = document.createElement("li");
      option.id = `${list.id}-${index}`;
      option.setAttribute("role", "option");
      const name = document.createElement("span");
      name.textContent = disease.name;
      const more = document.createElement("small");
      more.textContent = found.by && plain(found.by) !== plain(disease.name) ? `also ${found.by}` : disease.parent;
      name.append(more);
      option.append(name);
      if (disease.grade) {
        const chip = document.createElement("span");
        chip.className = `chip ${disease.grade}`;
        chip.textContent = GRADES[disease.grade];
        option.append(chip);
      }
      option.addEventListener("pointerdown", (event) => event.preventDefault());
      option.addEventListener("click", () => choose(disease));
      return option;
    }));
    status.textContent = shown.length ? `${shown.length} found` : "No disease found";
    list.hidden = !shown.length;
    input.setAttribute("aria-expanded", String(!!shown.length));
    mark(shown.length ? 0 : -1);
  }

  input.addEventListener("input", search);
  input.addEventListener("focus", loadDiseases, { once: true });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (list.hidden) { search(); return; }
      mark((active + step + shown.length) % shown.length);
    } else if (event.key === "Enter" && !event.ctrlKey) {
      event.preventDefault();  // never sends the form half filled
      if (!list.hidden && active >= 0) choose(shown[active].disease);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      if (!list.hidden) close(); else input.blur();
    } else if (event.key === "Tab" && !list.hidden && active >= 0) {
      choose(shown[active].disease);
    }
  });
}
for (const box of document.querySelectorAll("[data-combobox]")) combobox(box);

const cannotTell = document.getElementById("cannot-tell");
answer.addEventListener("chosen", ({ detail }) => {
  cannotTell.checked = false;
  const grade = detail.grade && document.getElementById(`grade-${detail.grade}`);
  if (grade) grade.checked = true;
  else for (const radio of answer.elements.grade) radio.checked = false;
  keepSoon();
});
function sayCannotTell() {
  if (!cannotTell.checked) return;
  answer.elements.disease.value = "";
  for (const radio of answer.elements.grade) radio.checked = false;
}
cannotTell.addEventListener("change", sayCannotTell);

// ---- drafts: kept by the server, nothing stays in a browser that others use -----------------------------------------

const draft = document.querySelector("[data-draft]");
let waiting = 0, isLeaving = false;

function keepSoon() {
  if (!answer.dataset.canDraft) return;
  clearTimeout(waiting);
  waiting = setTimeout(keep, 1200);
}

async function keep() {
  if (isLeaving) return;
  const fields = Object.fromEntries(new FormData(answer));
  const body = JSON.stringify({ disease: fields.disease, cannot_tell: !!fields.answer, grade: fields.grade ?? "", photo_quality: fields.photo_quality ?? "", comment: fields.comment });
  try {
    const kept = await fetch(`${desk.dataset.root}/photos/${desk.dataset.photo}/draft`, {
      method: "PUT", credentials: "same-origin", body, headers: { "Content-Type": "application/json", "X-Review-Form": fields.form },
    });
    draft.textContent = kept.ok ? "Draft kept" : "Draft not kept";
  } catch { draft.textContent = "Draft not kept: no connection"; }
}
answer.addEventListener("input", keepSoon);
answer.addEventListener("change", keepSoon);
answer.addEventListener("submit", (event) => {
  if (isLeaving) { event.preventDefault(); return; }
  isLeaving = true;
  clearTimeout(waiting);
  draft.textContent = "Saving…";
});
addEventListener("pageshow", (event) => { if (event.persisted) { isLeaving = false; location.reload(); } });

// ---- single keys ----------------------------------------------------------------------------------------------------

const keysOn = document.querySelector("[data-keys]");
try { keysOn.checked = localStorage.getItem("review-keys") !== "off"; } catch { /* a browser that keeps nothing */ }
keysOn.addEventListener("change", () => { try { localStorage.setItem("review-keys", keysOn.checked ? "on" : "off"); } catch { /* as above */ } });

const press = (id) => () => { const field = document.getElementById(id); field.checked = field.type === "radio" || !field.checked; field.dispatchEvent(new Event("change", { bubbles: true })); };
const focus = (id) => () => { const field = document.getElementById(id); field.focus(); field.select?.(); };
const save = () => answer.requestSubmit();
const keys = {
  "/": focus("disease"), d: focus("disease"), c: focus("comment"), t: press("cannot-tell"), s: save,
  1: press("grade-low_risk"), 2: press("grade-high_risk"), 3: press("grade-dangerous"),
  7: press("quality-good"), 8: press("quality-acceptable"), 9: press("quality-unusable"),
  "+": zooms.in, "=": zooms.in, "-": zooms.out, 0: wholePhoto,
  h: () => heat?.click(), n: () => document.querySelector("[data-key-next]")?.click(),
};
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    (document.activeElement?.form ?? answer).requestSubmit();
    return;
  }
  const field = event.target.closest("input:not([type=radio]):not([type=checkbox]), textarea, select");
  if (event.key === "Escape" && field) { field.blur(); return; }
  if (field || event.ctrlKey || event.metaKey || event.altKey || !keysOn.checked || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

document.querySelector("[data-problems]")?.focus();

// The next photo, once this one is there.
function fetchAhead() { if (desk.dataset.next) new Image().src = desk.dataset.next; }
if (picture.complete) fetchAhead(); else picture.addEventListener("load", fetchAhead, { once: true });
