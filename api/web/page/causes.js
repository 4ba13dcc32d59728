// Why a job is where it is: each cause the API found, as a sentence, with what to do and whose turn it is.
import { element } from "./dom.js";
import { duration } from "./standing.js";
import { now } from "./times.js";

// What the API's own sentence is about. A code that is not here is shown as it is.
const TITLES = {
  "JOB:FAILED": "Failed", "JOB:CANCELLED": "Cancelled", "WORKER:SILENT": "Nothing heard of its worker", "WORKER:NEVER_STARTED": "Not begun",
  "STAGE:OVERDUE": "This step takes too long", "JOB:OVERDUE": "The job takes too long", "STAGE:SKIPPED": "A step was never reported",
  "CLOCK:SKEWED": "Times do not fit together", "EVENTS:REFUSED": "Reports were refused", "PROJECTION:BEHIND": "Reports are not shown yet",
  "PROJECTION:HELD": "Reports are held up", "PROJECTION:STALE": "Nobody confirms what is shown", "UNDETERMINED": "Not known",
};
const LONGEST_FACT = 120; // an error is shown in full elsewhere
const TURNS = { user: "Your turn", worker: "The worker's turn", operator: "The operator's turn" };
const URGENT = /^(JOB:|WORKER:|STAGE:OVERDUE|PROJECTION:)/;

/** Return what the API found, most urgent first. */
export function causes(diagnosis) {
  return element("ul", { className: "causes" }, ...diagnosis.map(cause));
}

function cause({ code, since, evidence, hint, actor, retriable }) {
  const age = since ? element("span", { className: "dim" }, " for ", lasting(since)) : "";
  const line = element("p", {}, element("strong", {}, TITLES[code] ?? code), age);
  const turn = element("span", { className: "turn" }, TURNS[actor] ?? actor ?? "");
  const waiting = retriable === undefined ? "" : retriable ? "Waiting can help." : "Waiting does not help.";
  const facts = Object.entries(evidence ?? {}).filter(([, value]) => value !== null).map(([name, value]) => `${name}: ${plain(value)}`);
  const shown = facts.filter(fact => fact.length <= LONGEST_FACT);
  return element(
    "li", { className: code === "JOB:FAILED" ? "bad" : URGENT.test(code) ? "urgent" : "" }, line,
    element("p", {}, hint ?? ""),
    element("p", { className: "dim" }, turn, ` ${waiting} `, element("code", {}, code), shown.length ? ` — ${shown.join(", ")}` : ""),
  );
}

function plain(value) {
  if (Array.isArray(value)) return value.map(plain).join(" ");
  return typeof value === "object" && value ? JSON.stringify(value) : String(value);
}

function lasting(since) {
  return element("span", { "data-since": since, title: since, textContent: duration((now() - Date.parse(since)) / 1000) });
}
