// Where a job stands, of what the API says of it: values of values, for every view.
import { STAGES } from "./stages.js";

const OVERDUE = /^(STAGE:OVERDUE|JOB:OVERDUE|WORKER:SILENT|WORKER:NEVER_STARTED)$/;
/** How a job stands, each with a sign and a word, so that no colour is needed. */
export const LOOKS = {
  running: { sign: "●", word: "In progress" },
  overdue: { sign: "!", word: "Overdue" },
  succeeded: { sign: "✓", word: "Succeeded" },
  failed: { sign: "✕", word: "Failed" },
  cancelled: { sign: "⊘", word: "Cancelled" },
  finished: { sign: "■", word: "Finished" }, // how is not known yet
};

const known = new WeakMap();

/** Return the look of an entry at a moment. */
export function lookOf(entry, now) {
  const standing = standingOf(entry);
  if (standing.outcome) return standing.outcome;
  return standing.isOverdue || now > standing.overdueAt ? "overdue" : "running";
}

/** Return what does not change with the time: steps, outcome, since when it is in its step, when it is overdue. */
export function standingOf(entry) {
  if (!known.has(entry)) known.set(entry, computed(entry));
  return known.get(entry);
}

function computed({ job, timeline }) {
  // A timeline that is older than the job has not heard of its last step.
  const told = timeline && timeline.status >= job.status ? timeline : null;
  const reported = new Map((timeline?.stages ?? []).map(stage => [stage.status, stage]));
  const isFinished = job.status === STAGES.length;
  const since = reported.get(job.status)?.date ?? null;
  const began = Date.parse(job.dateCreated), ended = job.dateFinished ? Date.parse(job.dateFinished) : null;
  return {
    isFinished,
    outcome: isFinished ? told?.outcome ?? "finished" : null,
    steps: STAGES.map((name, index) => stepOf(index + 1, job.status, told, reported)),
    began,
    ended,
    inStepSince: isFinished || !since ? null : Date.parse(since),
    isOverdue: (timeline?.diagnosis ?? []).some(cause => OVERDUE.test(cause.code)),
    overdueAt: isFinished ? Infinity : Date.parse(reported.get(job.status)?.expectedBy ?? "") || Infinity,
  };
}

// A step that was passed and never reported is not shown as done; whether it was reported the timeline knows.
function stepOf(status, reached, told, reported) {
  if (status > reached) return "open";
  if (status === reached && reached < STAGES.length) return "now";
  return reported.has(status) || !told ? "done" : "skipped";
}

/** Return seconds in words: the two largest units that matter. */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const days = Math.floor(whole / 86400), hours = Math.floor(whole / 3600) % 24, minutes = Math.floor(whole / 60) % 60;
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}
