// The page: what is asked stands in its address, and what is shown follows from it.
import { clearState, showState, showTitle } from "./banner.js";
import { follow } from "./client/client.js";
import { at, element, write } from "./dom.js";
import { Job } from "./job/job.js";
import { List } from "./list/list.js";
import { cut, listenForCopies } from "./names.js";
import { fillForm, FILTERS, forgetRecent, identify, listenForFields, readForm, remember, showRecent, WORDS } from "./search.js";
import { refreshTimes, setClock, showTimes, timesKind } from "./times.js";

const TICK_MILLISECONDS = 1000, TIMES_TICKS = 10;
const SEARCH_AGAIN_MILLISECONDS = 5000;
const VIEWS = ["home", "absent", "choices", "list", "job"];
const CHOICE = ["step", "look", "order"];
const list = new List(keepChoice), job = new Job();
let asked = new URLSearchParams(), stop = () => {}, ticks = 0, isMoved = false;

function show(view) {
  for (const name of VIEWS) at(name).hidden = name !== view;
  if (!view || !isMoved) return;
  isMoved = false;
  at("content").focus({ preventScroll: true }); // what had the focus may be hidden now
}

function begin() {
  stop();
  clearState();
  asked = new URLSearchParams(location.search);
  fillForm(asked);
  showRecent();
  job.reset();
  list.reset(Object.fromEntries(CHOICE.map(name => [name, asked.get(name) ?? ""])));
  showTitle(null, "");
  const names = FILTERS.filter(name => asked.get(name));
  if (names.length) followJobs(names);
  else if (asked.get("q")) search(asked.get("q"));
  else show("home");
}

function followJobs(names) {
  show("");
  const filters = Object.fromEntries(names.map(name => [name, asked.get(name)]));
  const end = follow({
    ...filters, api: document.baseURI.replace(/[?#].*$/, ""), token: at("token").value, cursor: asked.get("cursor") ?? "",
    onChange: (entries, page) => shown(filters, entries, page),
    onState: state => {
      setClock(state.clockSeconds);
      showState(state);
    },
  });
  stop = end;
  remember(`?${new URLSearchParams(filters)}`);
}

function shown(filters, entries, page) {
  if (!entries.length && !page.next) {
    showAbsent(filters, page.absent);
  } else if (filters.jobId && new Set(entries.map(entry => entry.identity)).size === 1) {
    job.show(entries, asked.get("attempt"));
    show("job");
  } else {
    list.show(entries, page.next);
    at("newest").hidden = !asked.has("cursor");
    at("newest").href = addressWith({ cursor: "" });
    at("older").hidden = !page.next;
    at("older").href = addressWith({ cursor: page.next ?? "" });
    show("list");
  }
}

// Nothing matches: said with what was looked for, and looked for on.
function showAbsent(filters, absent) {
  const named = Object.entries(filters).map(([name, value]) => (name === "q" ? `“${cut(value)}”` : `${WORDS[name].toLowerCase()} ${cut(value)}`));
  write(at("absent-title"), absent?.isGone ? "This job was let go" : `No job matches ${named.join(" and ")}`);
  write(at("absent-text"), absent?.isGone ? absent.text : "Was it ever reported? This page goes on looking and shows it as soon as it is.");
  showTitle(null, "No job");
  show("absent");
}

// What the one field holds may be an owner, an agreement or a job: the API is asked for each until one is found.
async function search(text) {
  const ending = new AbortController();
  stop = () => ending.abort();
  show("");
  while (!ending.signal.aborted) {
    try {
      const names = await identify(text, at("token").value, ending.signal);
      if (ending.signal.aborted) return;
      clearState();
      if (names.length === 1) return found(names[0], text);
      if (names.length) return showChoices(names, text);
      showAbsent({ q: text }, null);
    } catch (error) {
      if (ending.signal.aborted) return;
      showState({ kind: kindOf(error), text: error.status ? error.message : "", lag: null, held: [], progress: null, answered: null });
      if (error.status && error.status < 500) return;
    }
    await new Promise(resolve => { setTimeout(resolve, SEARCH_AGAIN_MILLISECONDS); });
  }
}

function kindOf({ status }) {
  if (!status) return "reconnecting";
  return status < 500 ? "refused" : "unavailable";
}

function found(name, text) {
  history.replaceState(null, "", `?${new URLSearchParams({ [name]: text })}`);
  begin();
}

function showChoices(names, text) {
  at("choices-list").replaceChildren(...names.map(name => {
    const href = `?${new URLSearchParams({ [name]: text })}`;
    return element("li", {}, element("a", { href }, `${WORDS[name]} ${cut(text)}`));
  }));
  show("choices");
}

function addressWith(changes) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) query.set(name, value);
    else query.delete(name);
  }
  return `?${query}`;
}

function keepChoice(choice) {
  history.replaceState(null, "", addressWith({ ...choice, order: choice.order === "start" ? "" : choice.order }));
}

function go(search) {
  if (search !== location.search) history.pushState(null, "", search || location.pathname);
  isMoved = true;
  begin();
  scrollTo({ top: 0 });
}

function tick() {
  if (document.hidden) return;
  if (!at("list").hidden) list.tick();
  if (!at("job").hidden) job.tick();
  if (++ticks % TIMES_TICKS === 0) refreshTimes();
}

at("query").addEventListener("submit", event => {
  event.preventDefault();
  const query = readForm();
  go(query.size ? `?${query}` : "");
});
// A link to another question is followed without loading the page again.
document.addEventListener("click", event => {
  const link = event.target.closest("a");
  const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !isPlain || link.target || !link.getAttribute("href")?.startsWith("?")) return;
  event.preventDefault();
  go(link.getAttribute("href"));
});
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const isTyping = event.target.matches("input, select, textarea");
  if (event.key === "/" && !isTyping) {
    event.preventDefault();
    at("one").select();
  }
  if (event.key === "Escape" && isTyping) event.target.blur();
});
at("times").value = timesKind();
at("times").addEventListener("change", () => showTimes(at("times").value));
at("forget").addEventListener("click", forgetRecent);
addEventListener("popstate", begin);
listenForCopies();
listenForFields();
setInterval(tick, TICK_MILLISECONDS);
begin();
