// Which jobs of a list are shown, and in which order.
import { lookOf, standingOf } from "../standing.js";

/** Each order: newest or longest first. */
export const ORDERS = {
  start: entry => standingOf(entry).began,
  end: entry => standingOf(entry).ended ?? 0,
  // The longer ago a step began the longer it has lasted; what is finished is in none.
  step: entry => -(standingOf(entry).inStepSince ?? Infinity),
};

/** Return whether an entry is one of those that were chosen. */
export function isChosen(entry, { step, look }, moment) {
  return (!step || entry.job.status === Number(step)) && (!look || lookOf(entry, moment) === look);
}

/** Return groups of attempts in the chosen order; a group stands where its last attempt does. */
export function ordered(groups, order) {
  const place = ORDERS[order] ?? ORDERS.start;
  return [...groups].sort((one, other) => {
    const [first, second] = [place(one.latest), place(other.latest)];
    return first === second ? 0 : second - first; // two infinities have no difference
  });
}

/** Return "12 in progress, 2 overdue, 1 failed": how many stand how. */
export function summary(groups, moment) {
  const counts = new Map();
  for (const { latest } of groups) {
    const look = lookOf(latest, moment);
    counts.set(look, (counts.get(look) ?? 0) + 1);
  }
  const words = { running: "running", overdue: "overdue", failed: "failed", cancelled: "cancelled", succeeded: "succeeded", finished: "finished" };
  return Object.keys(words).filter(look => counts.has(look)).map(look => `${counts.get(look)} ${words[look]}`).join(", ");
}

/** Return the look that whoever watches all of them wants to know of first. */
export function worst(groups, moment) {
  const looks = new Set(groups.map(group => lookOf(group.latest, moment)));
  return ["failed", "overdue", "running", "cancelled", "succeeded", "finished"].find(look => looks.has(look));
}
