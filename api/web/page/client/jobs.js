// The jobs that are followed, by attempt. What is as it was stays the same object, so that a view sees what changed.

/** Return whom a job belongs to and what it is called, which is the same for all of its attempts. */
export function identityOf(job) {
  return JSON.stringify([job.owner, job.agreementId, job.jobId]);
}

/** The newest jobs of a question. */
export class Jobs {
  constructor(limit) {
    this.limit = limit;
    this.entries = new Map();
    this.shown = [];
  }

  /** Take a whole answer instead of what was there. */
  take(jobs, timelines) {
    this.replace(paired(jobs, timelines));
  }

  /** Take these instead of what was there, each with its attempt. */
  replace(entries) {
    const before = this.entries;
    this.entries = new Map();
    for (const entry of entries.slice(0, this.limit)) this.put(entry, before);
  }

  /** Take one that is new or changed; returns its key. */
  put(entry, before = this.entries) {
    const identity = entry.identity ?? identityOf(entry.job), key = identity + entry.attempt, old = before.get(key);
    const made = { key, identity, attempt: entry.attempt, job: entry.job, timeline: entry.timeline ?? old?.timeline ?? null };
    this.entries.set(key, old && isEqual(old.job, made.job) && isEqual(old.timeline, made.timeline) ? old : made);
    return key;
  }

  /** Take how a job got where it stands, unless that is older than what is known. */
  explain(timeline) {
    const entry = this.entries.get(identityOf(timeline) + timeline.attempt);
    if (entry && timeline.status >= entry.job.status) this.put({ ...entry, timeline });
  }

  /** Forget a job that is gone. */
  remove(job) {
    this.entries.delete(identityOf(job) + job.attempt);
  }

  /** Return whether an answer has a job at an earlier stage than is known of it. */
  isAheadOf(jobs) {
    const furthest = new Map();
    for (const { job } of this.entries.values()) {
      const name = identityOf(job) + job.dateCreated;
      furthest.set(name, Math.max(furthest.get(name) ?? 0, job.status));
    }
    return jobs.some(job => job.status < (furthest.get(identityOf(job) + job.dateCreated) ?? 0));
  }

  /** Return all of them, newest first, when they are others than were returned before; else null. */
  news() {
    const entries = [...this.entries.values()].sort(byCreation).slice(0, this.limit);
    if (entries.length < this.entries.size) this.entries = new Map(entries.map(entry => [entry.key, entry]));
    const isSame = this.shown.length === entries.length && entries.every((entry, index) => entry === this.shown[index]);
    this.shown = entries;
    return isSame ? null : entries;
  }
}

function isEqual(one, other) {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

function byCreation(one, other) {
  const [first, second] = [one.job.dateCreated, other.job.dateCreated];
  return first === second ? one.attempt - other.attempt : first < second ? 1 : -1;
}

// The list names no attempts, and the timelines have the same jobs in the same order: each takes the one in its place.
function paired(jobs, timelines) {
  const listed = grouped(jobs), told = grouped(timelines);
  return jobs.map(job => {
    const alike = listed.get(identityOf(job)), candidates = told.get(identityOf(job)) ?? [], index = alike.indexOf(job);
    const timeline = candidates.length === alike.length ? candidates[index] : null;
    return { attempt: timeline?.attempt ?? alike.length - index, job, timeline };
  });
}

function grouped(jobs) {
  const groups = new Map();
  for (const job of jobs) {
    const identity = identityOf(job);
    if (!groups.has(identity)) groups.set(identity, []);
    groups.get(identity).push(job);
  }
  return groups;
}
