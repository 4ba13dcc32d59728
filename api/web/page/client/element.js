// <operator-job-status>: where a job stands, or the jobs of an owner, on a page of somebody else's.
import { duration, lookOf, LOOKS, standingOf } from "../standing.js";
import { follow } from "./client.js";

const SHOWN_JOBS = 10;
const TICK_MILLISECONDS = 1000;
const HTTP = /^https?:\/\//i;
const ATTRIBUTES = ["owner", "agreement-id", "job-id", "api", "limit"];
const WRONG = {
  asking: "Asking…", reconnecting: "Reconnecting…", lost: "No contact. What is shown may be out of date.",
  stale: "What is shown may be out of date.", rebuilding: "Being rebuilt", unavailable: "No answer now", refused: "Refused",
};
const STYLE = `
:host { display: block; font: 14px/1.45 var(--operator-status-font, system-ui, sans-serif);
  color: var(--operator-status-text, light-dark(#1b1f27, #e7eaf0)); }
:host([hidden]) { display: none; }
ul { list-style: none; margin: 0; padding: 0; }
li { display: flex; flex-wrap: wrap; gap: 2px 12px; align-items: center; padding: 6px 0;
  border-top: 1px solid var(--operator-status-line, color-mix(in srgb, currentcolor 18%, transparent)); }
li:first-child { border-top: 0; }
.look { font-weight: 600; min-width: 7.5em; }
.failed .look { color: var(--operator-status-failed, light-dark(#b3201f, #ff8f8b)); }
.overdue .look { color: var(--operator-status-overdue, light-dark(#8a4b00, #ffcf8a)); }
.name { overflow-wrap: anywhere; font-weight: 600; }
.bar { display: inline-grid; grid-template-columns: repeat(5, 20px); gap: 3px; }
i { height: 8px; border-radius: 3px; border: 1px solid color-mix(in srgb, currentcolor 55%, transparent); }
i.done { background: var(--operator-status-done, light-dark(#1f7a4d, #46b881)); border-color: transparent; }
i.now { background: var(--operator-status-now, light-dark(#1d5fd1, #6aa3ff)); border-color: transparent; }
i.skipped { border-style: dashed; }
.failed i.done, .cancelled i.done { background: color-mix(in srgb, currentcolor 45%, transparent); }
.failed i:last-child { background: var(--operator-status-failed, light-dark(#b3201f, #ff8f8b)); }
.overdue i.now { background: var(--operator-status-overdue, light-dark(#8a4b00, #ffcf8a)); }
.cancelled i:last-child { background: none; border-color: currentcolor; }
.links, .why, .state { flex-basis: 100%; font-size: 13px; overflow-wrap: anywhere; }
.links { display: flex; flex-wrap: wrap; gap: 2px 12px; }
a { color: var(--operator-status-link, light-dark(#1550b8, #8ab6ff)); }
`;

function make(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

class JobStatus extends HTMLElement {
  static observedAttributes = ATTRIBUTES;

  constructor() {
    super();
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [sheet];
    this.items = make("ul", { part: "jobs" });
    this.note = make("p", { className: "state", hidden: true });
    this.note.setAttribute("role", "status");
    this.shadowRoot.append(this.items, this.note);
    Object.assign(this, { jobs: [], rows: new Map(), token: "", state: { kind: "asking" } });
  }

  connectedCallback() {
    this.begin();
    this.ticking = setInterval(() => this.tick(), TICK_MILLISECONDS);
  }

  disconnectedCallback() {
    this.stop?.();
    this.stop = null;
    clearInterval(this.ticking);
  }

  attributeChangedCallback() {
    if (this.isConnected && this.stop) this.begin();
  }

  begin() {
    this.stop?.();
    this.stop = () => {};
    const [owner, agreementId, jobId, api] = ATTRIBUTES.map(name => this.getAttribute(name) ?? undefined);
    if (!owner && !agreementId && !jobId) return this.told({ kind: "refused", text: "owner, agreement-id or job-id is needed" });
    this.stop = follow({
      owner, agreementId, jobId, token: this.token, limit: Number(this.getAttribute("limit")) || SHOWN_JOBS, ...(api ? { api } : {}),
      onChange: jobs => this.changed(jobs),
      onState: state => this.told(state),
    });
  }

  changed(jobs) {
    this.jobs = jobs;
    const before = this.rows;
    this.rows = new Map(jobs.map(entry => [entry.key, before.get(entry.key)?.entry === entry ? before.get(entry.key) : rowOf(entry)]));
    this.items.replaceChildren(...[...this.rows.values()].map(row => row.line));
    this.tick();
    this.told(this.state);
    this.dispatchEvent(new CustomEvent("change", { detail: { jobs } }));
  }

  told(state) {
    this.state = state;
    const wrong = WRONG[state.kind] ? [WRONG[state.kind], state.text].filter(Boolean).join(": ") : "";
    const text = wrong || (this.jobs.length ? "" : "No such job yet.");
    if (this.note.textContent !== text) this.note.textContent = text;
    this.note.hidden = !text;
  }

  tick() {
    const moment = Date.now() + 1000 * (this.state.clockSeconds ?? 0);
    for (const row of this.rows.values()) row.tick(moment);
  }
}

function rowOf(entry) {
  const { job, timeline } = entry, { steps, ended, began, inStepSince, outcome } = standingOf(entry);
  const look = make("span", { className: "look" }), lasting = make("span", { className: "lasting" });
  const bar = make("span", { className: "bar" }, ...steps.map(step => make("i", { className: step })));
  bar.setAttribute("aria-hidden", "true"); // the text says the same
  const why = timeline?.error ?? timeline?.diagnosis?.[0]?.hint;
  const links = [["Log", job.algologURL], ...job.outputsURL.map((url, index) => [`Output ${index + 1}`, url])].filter(([, url]) => HTTP.test(url ?? ""));
  const line = make(
    "li", { part: "job" }, look, make("span", { className: "name" }, job.jobId), bar, make("span", {}, job.statusText), lasting,
    ...(why ? [make("span", { className: "why" }, why)] : []),
    ...(links.length ? [make("span", { className: "links" }, ...links.map(linkTo))] : []),
  );
  const tick = moment => {
    const kind = lookOf(entry, moment);
    line.className = kind;
    look.textContent = `${LOOKS[kind].sign} ${LOOKS[kind].word}`;
    lasting.textContent = outcome || inStepSince === null ? `in ${duration(((ended ?? moment) - began) / 1000)}` : `for ${duration((moment - inStepSince) / 1000)}`;
  };
  return { entry, line, tick };
}

function linkTo([text, href]) {
  return make("a", { href, target: "_blank", rel: "noopener noreferrer" }, text);
}

if (!customElements.get("operator-job-status")) customElements.define("operator-job-status", JobStatus);
