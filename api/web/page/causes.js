// Why a job is where it is: each cause the API found, as a sentence, with what to do and whose turn it is.
import { element } from "./dom.js";
import { duration } from "./standing.js";
import { now, time } from "./times.js";

const SENTENCES = {
  "JOB:FAILED": "The job failed.",
  "JOB:CANCELLED": "The job was cancelled.",
  "WORKER:SILENT": "Its worker has not been heard of for longer than this step allows.",
  "WORKER:NEVER_STARTED": "The job was accepted, but no worker has begun to work on it.",
  "STAGE:OVERDUE": "This step takes longer than it should.",
  "JOB:OVERDUE": "The job as a whole takes longer than it should.",
  "STAGE:SKIPPED": "A step was never reported, though a later one was.",
  "CLOCK:SKEWED": "The reported times do not fit together: a worker's clock is wrong.",
  "EVENTS:REFUSED": "Something that a worker reported about this job was refused.",
  "PROJECTION:BEHIND": "What is shown is behind: there are reports that have not been read yet.",
  "PROJECTION:HELD": "Reading the reports is held up for a part of the jobs.",
  "PROJECTION:STALE": "Nobody has confirmed what is shown for a while: it may be out of date.",
  "UNDETERMINED": "Nothing known explains where the job stands.",
};
const TURNS = { user: "Your turn", worker: "The worker's turn", operator: "The operator's turn" };
const URGENT = /^(JOB:|WORKER:|STAGE:OVERDUE|PROJECTION:)/;

/** Return what the API found, most urgent first. */
export function causes(diagnosis) {
  return element("ul", { className: "causes" }, ...diagnosis.map(cause));
}

function cause({ code, since, evidence, hint, actor, retriable }) {
  const age = since ? element("span", { className: "dim" }, " for ", lasting(since), ", since ", time(since)) : "";
  const line = element("p", {}, element("strong", {}, SENTENCES[code] ?? code), age);
  const turn = element("span", { className: "turn" }, TURNS[actor] ?? actor ?? "");
  const waiting = retriable === undefined ? "" : retriable ? "Waiting can help." : "Waiting does not help.";
  const facts = Object.entries(evidence ?? {}).filter(([, value]) => value !== null);
  const shown = facts.map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`);
  return element(
    "li", { className: URGENT.test(code) ? "urgent" : "" }, line,
    element("p", {}, hint ?? ""),
    element("p", { className: "dim" }, turn, ` ${waiting} `, element("code", {}, code), shown.length ? ` — ${shown.join(", ")}` : ""),
  );
}

function lasting(since) {
  return element("span", { "data-since": since, textContent: duration((now() - Date.parse(since)) / 1000) });
}
