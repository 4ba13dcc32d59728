// The steps of a job on an axis of time: when each began, how long it took, which worker reported it.
import { element, write } from "../dom.js";
import { duration, standingOf } from "../standing.js";
import { STAGES, TEXTS } from "../stages.js";
import { now, time } from "../times.js";

const WORDS = { open: "to come", skipped: "never reported", now: "now", done: "" };

/** A table with a row for each step, and a bar in it over the time that the step took. */
export class Axis {
  constructor() {
    this.body = element("tbody");
    const heads = ["Step", "", "Began", "Took", "Worker"].map(text => element("th", { scope: "col", textContent: text }));
    this.whole = heads[1];
    this.table = element(
      "table", { className: "axis" },
      element("caption", { className: "unseen", textContent: "The steps of the job" }),
      element("thead", {}, element("tr", {}, ...heads)), this.body,
    );
  }

  fill(entry) {
    this.entry = entry;
    const reported = new Map((entry.timeline?.stages ?? []).map(stage => [stage.status, stage]));
    const { steps } = standingOf(entry);
    this.rows = STAGES.map((name, index) => this.row(index, steps[index], reported.get(index + 1), entry));
    this.body.replaceChildren(...this.rows.map(row => row.line));
    this.tick();
  }

  row(index, step, stage, entry) {
    const isEnd = index === STAGES.length - 1, outcome = isEnd ? standingOf(entry).outcome : null;
    const bar = element("span", { className: `span ${step} ${isEnd ? "end" : ""} ${outcome ?? ""}` });
    const took = element("td", { className: "took" });
    const note = step === "done" ? "" : WORDS[step];
    const line = element(
      "tr", { className: step },
      element("th", { scope: "row" }, TEXTS[index], note ? element("span", { className: "note" }, note) : ""),
      element("td", { className: "track", "aria-hidden": "true" }, bar),
      element("td", { className: "began" }, stage ? time(stage.date) : "–"), took,
      element("td", { className: "worker" }, stage?.source ?? "–", stage?.record ? element("span", { className: "dim" }, stage.record) : ""),
    );
    return { line, bar, took, isEnd, from: stage ? Date.parse(stage.date) : null, expectedBy: stage?.expectedBy };
  }

  /** Draw every bar to where the time is now. */
  tick() {
    const { began, ended } = standingOf(this.entry), end = Math.max(ended ?? now(), began + 1000);
    const starts = this.rows.map(row => row.from).filter(from => from !== null);
    const first = Math.min(began, ...starts), whole = end - first;
    write(this.whole, `${duration(whole / 1000)} in all`);
    this.rows.forEach((row, index) => {
      if (row.from === null) return;
      const after = this.rows.slice(index + 1).find(next => next.from !== null);
      const to = row.isEnd ? row.from : Math.max(after?.from ?? end, row.from);
      row.bar.style.left = `${percent(row.from - first, whole)}%`;
      row.bar.style.width = `${percent(to - row.from, whole)}%`;
      write(row.took, row.isEnd ? "" : duration((to - row.from) / 1000));
    });
  }
}

function percent(part, whole) {
  return Math.min(100, Math.max(0, (100 * part) / whole)).toFixed(2);
}
