// Asks the API: whole lists however many pages they take, unchanged ones without their bodies.
const STATUS = "api/v1/operator/status", TIMELINE = `${STATUS}/timeline`, EVENTS = `${STATUS}/events`;
const FILTERS = ["owner", "agreementId", "jobId"];
const PAGES = 20; // answers that one question may take, for a page may end early
const ANSWER_SECONDS = 15;
const TOLD_SECONDS = 10; // how jobs of an unchanged list got there is asked less often
const TEMPORARY = [408, 425, 429];
const GONE = 410, UNKNOWN = 404, UNCHANGED = 304;

/** The API said why it does not answer. */
export class Refusal extends Error {
  constructor(status, text, seconds) {
    super(text);
    Object.assign(this, { status, seconds });
  }

  /** Whether the same question would be refused again. */
  get isFinal() {
    return this.status < 500 && !TEMPORARY.includes(this.status);
  }
}

/** One question, asked again and again. */
export class Asking {
  constructor({ api, token = "", cursor = "", limit, signal, ...filters }) {
    this.api = new URL(api, globalThis.document?.baseURI).href.replace(/\/*$/, "/");
    this.query = new URLSearchParams(FILTERS.filter(name => filters[name]).map(name => [name, filters[name]]));
    Object.assign(this, { token, cursor, limit, signal, known: new Map(), freshness: { lag: null, held: [], stale: null } });
    this.clockMilliseconds = 0; // how far the server's clock is ahead of this one
  }

  /** Return the list and how its jobs got there, with the cursor of what follows and of the changes from here on. */
  async ask() {
    const known = this.known;
    this.known = new Map();
    try {
      const list = await this.all(STATUS, known);
      const timelines = list.jobs.length ? await this.allTold(list, known) : [];
      return { ...list, timelines, absent: list.jobs.length ? null : await this.absence() };
    } catch (error) {
      this.known = known;
      throw error;
    }
  }

  async allTold(list, known) {
    if (list.isUnchanged && this.told && Date.now() < this.toldAt + 1000 * TOLD_SECONDS) {
      for (const url of this.toldUrls) this.known.set(url, known.get(url));
      return this.told;
    }
    const { jobs, urls } = await this.all(TIMELINE, known).catch(whenGone);
    Object.assign(this, { told: jobs, toldUrls: urls, toldAt: Date.now() });
    return jobs;
  }

  /** Ask for everything anew the next time. */
  forget() {
    this.told = null;
    this.known.clear();
  }

  async all(path, known) {
    const jobs = [], urls = [];
    let page = null, url = this.address(path), isUnchanged = true;
    for (let asked = 0; url && jobs.length < this.limit && asked < PAGES; asked++) {
      page = await this.page(url, known.get(url));
      this.known.set(url, page);
      jobs.push(...page.jobs);
      urls.push(url);
      isUnchanged &&= page.isUnchanged;
      url = page.next;
    }
    return { ...page, jobs, urls, isUnchanged, next: url && new URL(url).searchParams.get("cursor") };
  }

  address(path) {
    const query = new URLSearchParams(this.query);
    query.set("limit", this.limit);
    if (this.cursor) query.set("cursor", this.cursor);
    return `${this.api}${path}?${query}`;
  }

  async page(url, known) {
    const answer = await this.fetch(url, known?.etag ? { "If-None-Match": known.etag } : {});
    const link = /<([^>]*)>;\s*rel="next"/.exec(answer.headers.get("Link") ?? "");
    const isUnchanged = answer.status === UNCHANGED;
    return {
      isUnchanged,
      jobs: isUnchanged ? known.jobs : await answer.json(),
      etag: answer.headers.get("ETag"),
      next: link && new URL(link[1], url).href, // a page can get a next one without changing itself
      seconds: Number(answer.headers.get("Retry-After")),
      changesFrom: answer.headers.get("Projection-Cursor") ?? "",
    };
  }

  /** Return how these jobs got where they stand; many are asked for as the whole list. */
  async timelines(jobs, most) {
    const single = job => `${this.api}${TIMELINE}?${new URLSearchParams(FILTERS.map(name => [name, job[name]]))}`;
    if (jobs.length > most) return (await this.all(TIMELINE, new Map())).jobs;
    const pages = await Promise.all([...new Set(jobs.map(single))].map(url => this.page(url).catch(whenGone)));
    return pages.flatMap(page => page.jobs);
  }

  /** Return why there is no such job, as far as the timeline knows: it says when one was let go. */
  async absence() {
    if (!this.query.has("jobId")) return null;
    try {
      await this.fetch(this.address(TIMELINE));
      return null;
    } catch (error) {
      whenGone(error);
      return { isGone: error.status === GONE, text: error.message };
    }
  }

  /** Return where the changes since an id are streamed; who has a token gets in by a ticket, for it is in no URL. */
  async changes(lastId) {
    const query = new URLSearchParams(this.query);
    query.set("lastEventId", lastId);
    if (this.token) {
      const answer = await this.fetch(`${this.api}${EVENTS}/ticket?${this.query}`, {}, { method: "POST" });
      query.set("ticket", (await answer.json()).ticket);
    }
    return `${this.api}${EVENTS}?${query}`;
  }

  async fetch(url, headers = {}, options = {}) {
    const limit = new AbortController(), abort = () => limit.abort();
    const timer = setTimeout(abort, 1000 * ANSWER_SECONDS);
    this.signal.addEventListener("abort", abort);
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    try {
      const answer = await fetch(url, { headers, cache: "no-store", credentials: "omit", signal: limit.signal, ...options });
      this.note(answer.headers);
      if (answer.status < 400) return answer;
      const { error } = await answer.json().catch(() => ({}));
      throw new Refusal(answer.status, error ?? `The API answers ${answer.status}`, Number(answer.headers.get("Retry-After")));
    } finally {
      clearTimeout(timer);
      this.signal.removeEventListener("abort", abort);
    }
  }

  note(headers) {
    const lag = headers.get("Projection-Lag"), beat = headers.get("Projection-Heartbeat"), date = headers.get("Date");
    if (date) this.clockMilliseconds = Date.parse(date) - Date.now();
    if (lag === null) return;
    this.freshness = {
      lag: lag === "unknown" ? null : Number(lag),
      held: (headers.get("Projection-Held") ?? "").split(", ").filter(Boolean),
      stale: lag === "unknown" ? { since: beat === "unknown" ? null : beat } : null,
    };
  }
}

// A job can go between two questions.
function whenGone(error) {
  if (error.status !== UNKNOWN && error.status !== GONE) throw error;
  return { jobs: [], urls: [] };
}
