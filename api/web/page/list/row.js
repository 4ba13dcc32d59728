// One attempt of a job as a row: how it stands, its steps, how long.
import { lookBadge } from "../banner.js";
import { element, part, write } from "../dom.js";
import { copied, copying, cut } from "../names.js";
import { duration, lookOf, standingOf } from "../standing.js";
import { STAGES } from "../stages.js";
import { now, setTime, time } from "../times.js";

/** A row; it is filled again only when its job changed, and ticks only what runs. */
export class Row {
  constructor(entry) {
    const { job } = entry;
    this.steps = STAGES.map(() => element("i"));
    this.look = part("cell", "cell-look");
    this.attempt = element("span", { className: "dim attempt" });
    this.text = element("span", { className: "step-text" });
    this.inStep = element("span", { className: "in-step dim" });
    this.total = part("cell", "cell-total");
    this.started = time(job.dateCreated);
    this.link = element("a", { href: addressOf(entry), textContent: cut(job.jobId), title: job.jobId, className: "job-link" });
    const bar = element("span", { className: "bar", "aria-hidden": "true" }, ...this.steps);
    this.line = part(
      "row", "row", this.look,
      part("rowheader", "cell-job", element("span", { className: "named" }, this.link, copying(job.jobId, `Copy job ${job.jobId}`)), this.attempt),
      part("cell", "cell-agreement", copied(job.agreementId, "Agreement")),
      part("cell", "cell-steps", bar, this.text, " ", this.inStep),
      this.total, part("cell", "cell-started", this.started),
    );
    this.fill(entry);
  }

  fill(entry) {
    if (this.entry === entry) return;
    this.entry = entry;
    const { steps } = standingOf(entry);
    this.steps.forEach((step, index) => { step.className = steps[index]; });
    const skipped = steps.filter(step => step === "skipped").length;
    write(this.text, entry.job.statusText + (skipped ? ` (${skipped} ${skipped === 1 ? "step" : "steps"} never reported)` : ""));
    write(this.attempt, `attempt ${entry.attempt}`);
    this.attempt.classList.toggle("first", entry.attempt === 1);
    this.link.href = addressOf(entry);
    setTime(this.started, entry.job.dateCreated);
    this.tick();
  }

  /** Bring up to date what moves by itself. */
  tick() {
    const { began, ended, inStepSince, outcome } = standingOf(this.entry), moment = now();
    const look = lookOf(this.entry, moment);
    if (look !== this.shownLook) {
      this.shownLook = look;
      this.look.replaceChildren(lookBadge(look));
      this.line.dataset.look = look;
    }
    write(this.total, duration(((ended ?? moment) - began) / 1000));
    write(this.inStep, outcome || inStepSince === null ? "" : `for ${duration((moment - inStepSince) / 1000)}`);
  }
}

/** Return the address of an attempt's own view. */
export function addressOf({ job, attempt }) {
  const { owner, agreementId, jobId } = job;
  return `?${new URLSearchParams({ owner, agreementId, jobId, attempt })}`;
}
