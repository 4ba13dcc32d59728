// Times as they are read: how long ago, or when, here or in UTC; by the server's clock.
import { element, write } from "./dom.js";
import { duration } from "./standing.js";

const KEPT = "operator-status-times";
const KINDS = ["relative", "local", "utc"];
let kind = KINDS.includes(localStorage.getItem(KEPT)) ? localStorage.getItem(KEPT) : KINDS[0];
let aheadMilliseconds = 0;

/** Return the server's time, as far as it is known. */
export function now() {
  return Date.now() + aheadMilliseconds;
}

/** Take note of how far the server's clock is ahead. */
export function setClock(seconds) {
  aheadMilliseconds = 1000 * seconds;
}

/** Return how times are shown now. */
export function timesKind() {
  return kind;
}

/** Show times in another way, now and in the future. */
export function showTimes(wanted) {
  kind = wanted;
  localStorage.setItem(KEPT, wanted);
  refreshTimes();
}

/** Return an element that shows a time. */
export function time(iso) {
  const made = element("time", { dateTime: iso });
  fillTime(made);
  return made;
}

/** Have a time's element show another time. */
export function setTime(made, iso) {
  if (made.dateTime === iso) return;
  made.dateTime = iso;
  fillTime(made);
}

/** Bring the times below an element up to date. */
export function refreshTimes(below = document) {
  for (const made of below.querySelectorAll("time[datetime]")) fillTime(made);
}

/** Return a time as a text. */
export function timeText(iso) {
  const moment = new Date(iso);
  if (kind === "utc") return `${iso.slice(0, 19).replace("T", " ")} UTC`;
  if (kind === "local") return localText(moment);
  const seconds = (now() - moment) / 1000;
  return seconds < 0 ? `in ${rough(-seconds)}` : `${rough(seconds)} ago`;
}

function fillTime(made) {
  write(made, timeText(made.dateTime));
  const title = `${made.dateTime}\n${localText(new Date(made.dateTime))} here`;
  if (made.title !== title) made.title = title;
}

function rough(seconds) {
  return seconds < 60 ? duration(seconds) : duration(seconds).replace(/ [0-9]+ s$/, "");
}

function localText(moment) {
  const two = number => String(number).padStart(2, "0");
  const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  return `${day} ${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`;
}
