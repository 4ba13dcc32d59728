// One job: why it is where it is, its steps on an axis of time, what it left behind, and how to ask for it elsewhere.
import { lookBadge, showTitle } from "../banner.js";
import { causes } from "../causes.js";
import { at, element, linkOut, write } from "../dom.js";
import { addressOf } from "../list/row.js";
import { copied, copying } from "../names.js";
import { FILTERS, WORDS } from "../search.js";
import { duration, lookOf, LOOKS, standingOf } from "../standing.js";
import { now, refreshTimes, time } from "../times.js";
import { Axis } from "./axis.js";
import { EndNotice } from "./notice.js";

const UNLINKED = "not a link: only http and https are followed";

/** The job's view. */
export class Job {
  constructor() {
    this.axis = new Axis();
    this.notice = new EndNotice();
    at("axis").append(this.axis.table);
    this.shown = new Map();
  }

  /** Show an attempt, the given one or the last. */
  show(entries, attempt) {
    const sorted = [...entries].sort((one, other) => other.attempt - one.attempt);
    const entry = sorted.find(one => String(one.attempt) === attempt) ?? sorted[0];
    if (this.entry === entry && this.among === sorted.length) return;
    Object.assign(this, { entry, among: sorted.length });
    const { job, timeline } = entry;
    this.part("job-name", job.jobId, () => [copied(job.jobId, "Job")]);
    this.part("trail", [job.owner, job.agreementId], () => trail(job));
    this.part("attempts", [entry.attempt, sorted.map(one => [one.attempt, one.job.status])], () => attempts(sorted, entry));
    this.part("causes", timeline?.diagnosis ?? [], found => found.length ? [causes(found)] : []);
    this.part("message", timeline?.message ?? "", text => text ? [element("h3", {}, "Message"), element("pre", {}, text)] : []);
    this.part("error", timeline?.error ?? "", text => text ? [element("h3", {}, "Error"), element("pre", {}, text)] : []);
    this.part("links", [job.outputsURL, job.algologURL, job.configlogURL, job.publishlogURL], () => left(job));
    this.part("refused", timeline?.refused ?? [], refused);
    this.part("raw", [job, timeline], () => [element("pre", { tabIndex: 0 }, JSON.stringify({ status: job, timeline }, null, 2))]);
    this.part("curl", [job.owner, job.agreementId, job.jobId], () => curl(job));
    this.part("kept", timeline?.expiresAt ?? "", until => until ? [element("p", { className: "dim" }, "Let go ", time(until), " unless there is news of it.")] : []);
    this.axis.fill(entry);
    this.notice.about(entry);
    this.tick();
  }

  // Renders a part again only when what it shows is another.
  part(id, value, render) {
    const text = JSON.stringify(value);
    if (this.shown.get(id) === text) return;
    this.shown.set(id, text);
    const children = render(value);
    at(id).replaceChildren(...children);
    at(id).hidden = !children.length;
  }

  /** Bring up to date what moves by itself. */
  tick() {
    const moment = now(), look = lookOf(this.entry, moment), { began, ended, inStepSince } = standingOf(this.entry);
    if (this.shown.get("look") !== look) {
      this.shown.set("look", look);
      at("look-now").replaceChildren(lookBadge(look));
    }
    const { job } = this.entry, whole = duration(((ended ?? moment) - began) / 1000);
    const inStep = inStepSince === null ? "" : ` for ${duration((moment - inStepSince) / 1000)}`;
    write(at("where"), ended ? `${job.statusText} after ${whole}` : `${job.statusText}${inStep}, ${whole} in all`);
    write(at("heard"), `${LOOKS[look].word}: ${job.statusText}, attempt ${this.entry.attempt}`);
    if (!ended) this.axis.tick();
    for (const lasting of document.querySelectorAll("[data-since]")) {
      write(lasting, duration((moment - Date.parse(lasting.dataset.since)) / 1000));
    }
    refreshTimes(at("job"));
    showTitle(look, `${ended ? LOOKS[look].word : job.statusText} · ${job.jobId}`);
  }

  /** Forget what was shown, before another job. */
  reset() {
    this.notice.forget();
    Object.assign(this, { entry: null, shown: new Map() });
  }
}

function trail(job) {
  return FILTERS.slice(0, 2).map(name => element(
    "span", {}, `${WORDS[name]} `, copied(job[name], WORDS[name]), " ",
    element("a", { href: `?${new URLSearchParams({ [name]: job[name] })}` }, `all of this ${WORDS[name].toLowerCase()}'s jobs`),
  ));
}

function attempts(entries, shown) {
  if (entries.length < 2) return shown.attempt === 1 ? [] : [element("span", {}, `Attempt ${shown.attempt}`)];
  return entries.map(entry => {
    const link = element("a", { href: addressOf(entry) }, `Attempt ${entry.attempt} (${LOOKS[lookOf(entry, now())].word.toLowerCase()})`);
    if (entry === shown) link.setAttribute("aria-current", "page");
    return link;
  });
}

function left(job) {
  const named = [["Algorithm log", job.algologURL], ["Configuration log", job.configlogURL], ["Publish log", job.publishlogURL]];
  const outputs = job.outputsURL.map((url, index) => [`Output ${index + 1}`, url]);
  const items = [...named.filter(([, url]) => url), ...outputs].map(([name, url]) => {
    const link = linkOut(url, url);
    return element("li", {}, element("span", { className: "kind" }, name), link ?? element("span", { title: UNLINKED }, url), copying(url, `Copy the address of ${name}`));
  });
  return items.length ? [element("h3", {}, "Logs and outputs"), element("ul", { className: "links" }, ...items)] : [];
}

function refused(events) {
  if (!events.length) return [];
  const items = events.map(event => element(
    "li", {}, element("code", {}, event.reason), " ", event.date ? time(event.date) : "",
    event.record ? element("span", { className: "dim" }, ` ${typeof event.record === "object" ? JSON.stringify(event.record) : event.record}`) : "",
  ));
  return [element("h3", {}, "Refused reports"), element("ul", {}, ...items)];
}

function curl({ owner, agreementId, jobId }) {
  const query = new URLSearchParams({ owner, agreementId, jobId });
  const url = new URL(`api/v1/operator/status/timeline?${query}`, document.baseURI).href.replaceAll("'", "%27");
  const command = `curl -s '${url}'`;
  return [element("code", {}, command), copying(command, "Copy the command")];
}
