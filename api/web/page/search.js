// One field for an owner, an agreement or a job: which of them it is the API knows. Recent ones are kept in this browser.
import { at, element } from "./dom.js";
import { cut } from "./names.js";

const KEPT = "operator-status-recent";
const MOST_RECENT = 8;
const LONGEST = 256;
/** What a question can name. */
export const FILTERS = ["owner", "agreementId", "jobId"];
/** What they are called. */
export const WORDS = { owner: "Owner", agreementId: "Agreement", jobId: "Job" };

/** Return which filters a text matches jobs by, as the API answers now; throws when it does not answer. */
export async function identify(text, token, signal) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const found = await Promise.all(FILTERS.map(async name => {
    const url = new URL(`api/v1/operator/status?${new URLSearchParams({ [name]: text, limit: "1" })}`, document.baseURI);
    const answer = await fetch(url, { headers, cache: "no-store", credentials: "omit", signal });
    if (answer.status >= 400) throw Object.assign(new Error((await answer.json()).error), { status: answer.status });
    return (await answer.json()).length ? name : null;
  }));
  return found.filter(Boolean);
}

/** Return the searches of this browser, the last one first. */
export function recent() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "[]");
    return Array.isArray(kept) ? kept.filter(text => typeof text === "string").slice(0, MOST_RECENT) : [];
  } catch {
    return [];
  }
}

/** Remember a search, by the query string that repeats it. */
export function remember(search) {
  localStorage.setItem(KEPT, JSON.stringify([search, ...recent().filter(other => other !== search)].slice(0, MOST_RECENT)));
}

/** Show the recent searches as links. */
export function showRecent() {
  const links = recent().map(search => element("li", {}, element("a", { href: search, textContent: labelOf(search) })));
  at("recent").hidden = !links.length;
  at("recent-list").replaceChildren(...links);
}

/** Forget the recent searches. */
export function forgetRecent() {
  localStorage.removeItem(KEPT);
  showRecent();
}

function labelOf(search) {
  const given = new URLSearchParams(search);
  return FILTERS.filter(name => given.get(name)).map(name => `${WORDS[name].toLowerCase()} ${cut(given.get(name))}`).join(", ");
}

/** Fill the form from a question. */
export function fillForm(query) {
  const given = FILTERS.filter(name => query.get(name));
  const isPlain = given.length !== 2; // all three are the address of a job
  at("one").value = query.get("q") ?? (isPlain && given.length ? query.get(given.at(-1)) : "");
  for (const name of FILTERS) at("query").elements[name].value = isPlain ? "" : query.get(name) ?? "";
  if (!isPlain) at("more").open = true;
}

/** Have the one field and the three take turns: what was filled in last is what is asked. */
export function listenForFields() {
  at("query").addEventListener("input", ({ target }) => {
    const others = target === at("one") ? FILTERS.map(name => at("query").elements[name]) : FILTERS.includes(target.name) ? [at("one")] : [];
    for (const field of others) field.value = "";
  });
}

/** Return what the form asks: the three fields when any is filled, else the one for whatever it may be. */
export function readForm() {
  const form = at("query"), query = new URLSearchParams();
  for (const name of FILTERS) {
    const value = form.elements[name].value.trim();
    if (value) query.set(name, value.slice(0, LONGEST));
  }
  const one = at("one").value.trim().slice(0, LONGEST);
  if (one && !query.size) query.set("q", one);
  return query;
}
