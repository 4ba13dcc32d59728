// How far what is shown can be trusted, said plainly; the window's title and icon say how the jobs stand.
import { at, element, write } from "./dom.js";
import { LOOKS } from "./standing.js";
import { time } from "./times.js";

const NAME = "Operator status";
const COLOURS = {
  running: "#1d5fd1", overdue: "#b35900", succeeded: "#1f7a4d", failed: "#c02626", cancelled: "#6b7280", finished: "#1f7a4d",
};
const MARKS = {
  running: "<circle cx='8' cy='8' r='3' fill='white'/>", overdue: "<path d='M7 3h2v6H7zM7 11h2v2H7z' fill='white'/>",
  succeeded: "<path d='M4 8l3 3 5-6' fill='none' stroke='white' stroke-width='2'/>",
  failed: "<path d='M5 5l6 6m0-6l-6 6' stroke='white' stroke-width='2'/>",
  cancelled: "<path d='M4 12L12 4' stroke='white' stroke-width='2'/>", finished: "<path d='M5 5h6v6H5z' fill='white'/>",
};
const SHORT = {
  asking: "Asking…", live: "Live", polling: "Asked every few seconds", ended: "All finished", stale: "Out of date",
  reconnecting: "Reconnecting…", lost: "No contact", rebuilding: "Rebuilding", unavailable: "No answer now", refused: "Refused",
};
const LONG = {
  reconnecting: "The API cannot be reached. It is tried again.",
  lost: "Contact is lost: the API has not been reached for a while. It is tried on.",
  unavailable: "There is no right answer now.",
  stale: "What is shown may be out of date: no projector has confirmed it.",
  rebuilding: "The projection is being built again from the log; nothing is lost.",
};

/** Show the state of following, in a word always and in a banner when something is wrong. */
export function showState(state) {
  const word = at("state");
  word.dataset.kind = state.kind;
  write(word, SHORT[state.kind] + behind(state));
  const text = LONG[state.kind] ?? (state.kind === "refused" ? state.text : held(state));
  at("alert").hidden = !text;
  document.body.classList.toggle("doubtful", ["lost", "reconnecting", "unavailable", "rebuilding", "stale"].includes(state.kind));
  if (text) showAlert(state, text);
}

function showAlert(state, text) {
  const reason = state.text && state.text !== text ? ` ${state.text}.` : "";
  write(at("alert-text"), text + reason);
  const shownOf = state.kind === "stale" ? state.since : state.answered;
  const age = shownOf ? [state.kind === "stale" ? "Last confirmed " : "What is shown was answered ", time(shownOf), "."] : [];
  at("alert-age").replaceChildren(...age);
  at("progress").hidden = state.progress === null;
  at("progress").value = state.progress ?? 0;
}

function behind({ kind, lag }) {
  return ["live", "polling", "ended"].includes(kind) && lag ? `, ${lag} ${lag === 1 ? "event" : "events"} behind` : "";
}

function held({ held: codes }) {
  return codes.length ? `A part of the log does not go on (${codes.join(", ")}): jobs in it can be out of date.` : "";
}

/** Clear what was said of another question. */
export function clearState() {
  at("alert").hidden = true;
  document.body.classList.remove("doubtful");
  at("state").dataset.kind = "";
  write(at("state"), "");
}

/** Have title and icon tell how what is shown stands, to whoever looks at another tab. */
export function showTitle(look, text) {
  const title = text ? `${text} · ${NAME}` : NAME;
  if (document.title !== title) document.title = title;
  const drawn = look ? `<circle cx='8' cy='8' r='8' fill='${COLOURS[look]}'/>${MARKS[look]}` : "<circle cx='8' cy='8' r='7' fill='#6b7280'/>";
  const href = `data:image/svg+xml,${encodeURIComponent(`<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>${drawn}</svg>`)}`;
  if (at("icon").href !== href) at("icon").href = href;
}

/** Return the sign and the word of a look. */
export function lookBadge(look) {
  const { sign, word } = LOOKS[look];
  return element("span", { className: `look ${look}` }, element("span", { className: "sign", "aria-hidden": "true" }, sign), word);
}
