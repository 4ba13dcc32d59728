// Follows jobs of Operator status: by its stream of changes, or by asking again where there is no stream.
import { Asking, Refusal } from "./asking.js";
import { Changes } from "./changes.js";
import { Jobs } from "./jobs.js";

const LIMIT_JOBS = 1000; // the newest ones are followed
const LEAST_SECONDS = 1, IDLE_SECONDS = 5, HIDDEN_SECONDS = 30, FAILED_SECONDS = 2, LONGEST_PAUSE_SECONDS = 30;
const JOBS_A_SECOND = 200; // who asks for many jobs asks less often
const CHECK_SECONDS = 15; // a connection can be dead without a sign of it, so an open stream is checked
const LOST_SECONDS = 30; // contact that has been missing for so long is called lost, and tried on
const TOGETHER_SECONDS = 0.25, SINGLE_TIMELINES = 4, MANY_SECONDS = 5; // what changed within a moment is explained at once

/** Follow the jobs of an owner, an agreement or an id; returns what ends it. client.d.ts has all of it. */
export function follow({ api = new URL(".", import.meta.url).href, limit = LIMIT_JOBS, onChange, onState, ...question }) {
  const following = new Following({ ...question, api, limit }, { onChange, onState });
  following.run();
  return () => following.stop();
}

class Following {
  constructor(question, listeners) {
    this.ending = new AbortController();
    this.asking = new Asking({ ...question, signal: this.ending.signal });
    this.jobs = new Jobs(question.limit);
    this.changes = new Changes({ onOpen: () => this.tell(), onBreak: () => this.wake?.(), hear: (name, data) => this.hear(name, data) });
    Object.assign(this, { listeners, page: { next: null, absent: null }, unexplained: new Set(), heard: 0, told: "" });
    this.onVisible = () => this.seen();
    globalThis.document?.addEventListener("visibilitychange", this.onVisible);
  }

  stop() {
    this.ending.abort();
    this.changes.close();
    clearTimeout(this.explaining);
    globalThis.document?.removeEventListener("visibilitychange", this.onVisible);
    this.wake?.();
  }

  get isStopped() {
    return this.ending.signal.aborted;
  }

  get isHidden() {
    return Boolean(globalThis.document?.hidden);
  }

  seen() {
    if (!this.isHidden) this.wake?.();
    else this.changes.close(); // a browser has few connections, for all of its tabs
    this.tell();
  }

  async run() {
    while (!this.isStopped) {
      const pause = await this.ask().then(seconds => this.succeed(seconds), error => this.fail(error));
      if (!this.isStopped && !this.fault) await this.stream();
      this.tell();
      if (pause === null) return;
      await this.sleep(this.changes.source && !this.asking.freshness.stale ? CHECK_SECONDS : pause);
    }
  }

  async sleep(seconds) {
    if (this.isStopped) return;
    let timer;
    await new Promise(resolve => {
      this.wake = resolve;
      timer = setTimeout(resolve, 1000 * seconds);
    });
    clearTimeout(timer);
  }

  async ask() {
    const heard = this.heard, answer = await this.asking.ask();
    // What the stream told meanwhile is newer than this answer.
    if (heard !== this.heard) return answer.seconds;
    // Another API process may stand at an earlier position: what goes back is believed when it is said twice.
    this.isDoubted = !this.isDoubted && this.jobs.isAheadOf(answer.jobs);
    if (this.isDoubted) {
      this.asking.forget();
      return LEAST_SECONDS;
    }
    if (!this.changes.source) this.changes.lastId = answer.changesFrom;
    this.isEnded &&= !answer.seconds; // it pays to ask again: another attempt has begun
    this.jobs.take(answer.jobs, answer.timelines);
    this.show({ next: answer.next, absent: answer.absent });
    return answer.seconds;
  }

  succeed(seconds) {
    Object.assign(this, { fault: null, answered: new Date().toISOString() });
    // A stream that ended does not say when it is fresh again, so what is stale is asked for on.
    const isResting = this.isEnded && !this.asking.freshness.stale;
    const least = this.isHidden || isResting ? HIDDEN_SECONDS : LEAST_SECONDS;
    return Math.max(seconds || IDLE_SECONDS, least, this.jobs.entries.size / JOBS_A_SECOND);
  }

  // Returns the seconds until it pays to ask again; null when it never does.
  fail(error) {
    this.failures = this.fault ? this.failures + 1 : 0;
    this.failing = this.fault ? this.failing : new Date();
    this.fault = error;
    this.changes.close();
    if (error.isFinal) return null;
    return error.seconds || Math.min(FAILED_SECONDS * 1.5 ** this.failures, LONGEST_PAUSE_SECONDS);
  }

  async stream() {
    const isWanted = !this.isHidden && !this.isEnded && !this.asking.cursor; // a later page has no changes of its own
    if (!isWanted || !this.changes.isDue) return;
    try {
      const url = await this.asking.changes(this.changes.lastId);
      if (!this.isStopped) this.changes.open(url);
    } catch {
      this.changes.putOff(); // no ticket: asking goes on
    }
  }

  hear(name, data) {
    if (name === "snapshot" || name === "status" || name === "gone") this.heard++;
    if (name === "snapshot") {
      this.jobs.replace(data);
      this.explain(this.jobs.entries.keys());
    }
    if (name === "status") this.explain([this.jobs.put(data)]);
    if (name === "gone") this.jobs.remove(data);
    if (name === "stale") {
      this.asking.freshness = { ...this.asking.freshness, lag: data.lag, stale: { since: data.since } };
      this.wake?.(); // the answer says why, and how far it is
    }
    if (name === "fresh") this.asking.freshness = { ...this.asking.freshness, stale: null };
    if (name === "end") {
      this.isEnded = true;
      this.changes.breakOff();
    }
    this.show();
    this.tell();
  }

  // The stream says where a job stands; how it got there is asked for.
  explain(keys) {
    for (const key of keys) this.unexplained.add(key);
    this.explaining ??= setTimeout(() => this.explained(), 1000 * TOGETHER_SECONDS);
  }

  async explained() {
    const jobs = [...this.unexplained].map(key => this.jobs.entries.get(key)?.job).filter(Boolean);
    this.unexplained.clear();
    const timelines = await this.asking.timelines(jobs, SINGLE_TIMELINES).catch(() => null);
    if (this.isStopped) return;
    if (!timelines) this.wake?.(); // asking shows what is wrong
    for (const timeline of timelines ?? []) this.jobs.explain(timeline);
    this.show();
    const pause = jobs.length > SINGLE_TIMELINES ? MANY_SECONDS : 0;
    this.explaining = setTimeout(() => {
      this.explaining = null;
      if (this.unexplained.size) this.explain([]);
    }, 1000 * pause);
  }

  show(page = { ...this.page, absent: this.jobs.entries.size ? null : this.page.absent }) {
    const isSamePage = this.isShown && JSON.stringify(page) === JSON.stringify(this.page);
    const entries = this.jobs.news();
    if (!entries && isSamePage) return;
    Object.assign(this, { page, isShown: true });
    this.listeners.onChange?.(this.jobs.shown, page);
  }

  tell() {
    const state = this.state(), text = JSON.stringify(state);
    if (this.isStopped || text === this.told) return;
    this.told = text;
    this.listeners.onState?.(state);
  }

  state() {
    const { lag, held, stale } = this.asking.freshness, seconds = Math.round(this.asking.clockMilliseconds / 1000);
    const state = { kind: "asking", since: null, text: "", progress: null, lag, held, answered: null };
    state.clockSeconds = Math.abs(seconds) > 2 ? seconds : 0; // the header has whole seconds, and was under way
    if (this.fault) return this.broken(state);
    if (!this.answered) return state;
    if (stale) return { ...state, kind: "stale", since: stale.since };
    if (this.isEnded) return { ...state, kind: "ended" };
    return { ...state, kind: this.changes.isOpen ? "live" : "polling" };
  }

  broken(state) {
    const { fault, failing, answered = null } = this;
    const known = { ...state, since: failing.toISOString(), answered };
    if (!(fault instanceof Refusal)) return { ...known, kind: Date.now() - failing > 1000 * LOST_SECONDS ? "lost" : "reconnecting" };
    const progress = /rebuilding, (\d+) %/.exec(fault.message);
    if (progress) return { ...known, kind: "rebuilding", text: fault.message, progress: Number(progress[1]) };
    return { ...known, kind: fault.isFinal ? "refused" : "unavailable", text: fault.message };
  }
}
