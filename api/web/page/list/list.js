// The list: a row for each job, its earlier attempts below it. Rows change in place; new ones wait until they are wanted.
import { showTitle } from "../banner.js";
import { at, element, part, write } from "../dom.js";
import { now } from "../times.js";
import { isChosen, ordered, summary, worst } from "./choice.js";
import { Row } from "./row.js";

const TOP_PIXELS = 40; // who has scrolled less far has not begun to read

class Group {
  constructor(identity) {
    Object.assign(this, { identity, rows: new Map(), isOpen: false });
    this.more = element("button", { type: "button", className: "attempts" });
    this.more.addEventListener("click", () => this.toggle());
    this.body = part("rowgroup", "job");
  }

  fill(entries) {
    const changed = entries.length !== this.rows.size || entries.some(entry => this.rows.get(entry.key)?.entry !== entry);
    if (!changed) return;
    const sorted = [...entries].sort((one, other) => other.attempt - one.attempt);
    this.latest = sorted[0];
    const rows = sorted.map(entry => this.rows.get(entry.key) ?? new Row(entry));
    rows.forEach((row, index) => row.fill(sorted[index]));
    this.rows = new Map(rows.map(row => [row.entry.key, row]));
    this.lines = rows.map(row => row.line);
    this.show();
  }

  toggle() {
    this.isOpen = !this.isOpen;
    this.show();
    this.more.focus();
  }

  show() {
    const [latest, ...earlier] = this.lines;
    const wanted = this.isOpen ? this.lines : [latest];
    if (wanted.length !== this.body.children.length || wanted.some((line, index) => this.body.children[index] !== line)) {
      this.body.replaceChildren(...wanted);
    }
    earlier.forEach(line => line.classList.add("earlier"));
    latest.classList.remove("earlier");
    this.more.hidden = !earlier.length;
    this.more.setAttribute("aria-expanded", this.isOpen);
    write(this.more, `${this.isOpen ? "Hide" : "Show"} ${earlier.length} earlier`);
    const place = latest.querySelector(".cell-job");
    if (earlier.length && this.more.parentNode !== place) place.append(this.more);
  }

  tick() {
    for (const row of this.rows.values()) row.tick();
  }
}

/** The list's view; `choose` is told what was chosen, to keep it in the page's address. */
export class List {
  constructor(choose) {
    Object.assign(this, { choose, groups: new Map(), placed: new Set(), visible: new Set(), choice: {} });
    this.watching = new IntersectionObserver(seen => seen.forEach(each => this.see(each)));
    for (const name of ["step", "look", "order"]) at(name).addEventListener("change", () => this.chosen());
    at("new").addEventListener("click", () => {
      this.place();
      scrollTo({ top: 0 });
    });
    at("jobs").addEventListener("keydown", event => moveFocus(event));
  }

  see({ target, isIntersecting }) {
    const group = this.groups.get(target.dataset.identity);
    target.classList.toggle("seen", isIntersecting); // what cannot be seen does not move
    if (group && isIntersecting) this.visible.add(group);
    else this.visible.delete(group);
    if (isIntersecting) group?.tick();
  }

  /** Begin with other jobs. */
  reset(choice) {
    this.watching.disconnect();
    Object.assign(this, { groups: new Map(), placed: new Set(), visible: new Set(), choice, isBegun: false });
    at("jobs").replaceChildren();
    for (const name of ["step", "look", "order"]) at(name).value = choice[name] ?? "";
    at("order").value ||= "start";
  }

  chosen() {
    this.choice = { step: at("step").value, look: at("look").value, order: at("order").value };
    this.choose(this.choice);
    this.place();
  }

  /** Show these entries. */
  show(entries, next) {
    const byIdentity = grouped(entries);
    for (const identity of this.groups.keys()) if (!byIdentity.has(identity)) this.drop(identity);
    for (const [identity, attempts] of byIdentity) {
      if (!this.groups.has(identity)) this.groups.set(identity, new Group(identity));
      this.groups.get(identity).fill(attempts);
    }
    this.isMore = Boolean(next);
    if (!this.isBegun || this.isAtTop()) this.place();
    this.isBegun = true;
    this.tell();
  }

  drop(identity) {
    const group = this.groups.get(identity);
    this.watching.unobserve(group.body);
    group.body.remove();
    [this.groups, this.placed].forEach(held => held.delete(identity));
    this.visible.delete(group);
  }

  isAtTop() {
    return scrollY < TOP_PIXELS && !at("jobs").contains(document.activeElement) && !at("jobs").matches(":hover");
  }

  // Puts every group where it belongs, moving only what is elsewhere, so that a row keeps the focus.
  place() {
    const moment = now();
    const wanted = ordered([...this.groups.values()].filter(group => isChosen(group.latest, this.choice, moment)), this.choice.order);
    const places = at("jobs").children, kept = new Set(wanted);
    for (const group of this.groups.values()) if (!kept.has(group)) group.body.remove();
    wanted.forEach((group, index) => {
      if (places[index] !== group.body) at("jobs").insertBefore(group.body, places[index] ?? null);
      if (group.body.dataset.identity) return;
      group.body.dataset.identity = group.identity;
      this.watching.observe(group.body);
    });
    this.placed = new Set(this.groups.keys());
    this.tell();
  }

  tell() {
    const groups = [...this.groups.values()], moment = now();
    const waiting = groups.filter(group => !this.placed.has(group.identity)).length;
    at("new").hidden = !waiting;
    write(at("new"), `${waiting} new`);
    const text = summary(groups, moment), shown = at("jobs").children.length;
    write(at("summary"), this.isMore ? `The newest ${groups.length}: ${text}` : `${groups.length === 1 ? "1 job" : `${groups.length} jobs`}: ${text}`);
    write(at("chosen"), shown === groups.length ? "" : `${shown} shown`);
    at("none-chosen").hidden = shown > 0 || !groups.length;
    showTitle(worst(groups, moment), text);
  }

  /** Bring up to date what moves by itself, where it can be seen. */
  tick() {
    for (const group of this.visible) group.tick();
    this.tell();
  }
}

function grouped(entries) {
  const groups = new Map();
  for (const entry of entries) {
    if (groups.has(entry.identity)) groups.get(entry.identity).push(entry);
    else groups.set(entry.identity, [entry]);
  }
  return groups;
}

// Up and down go from job to job, Home and End to the first and the last.
function moveFocus(event) {
  const links = [...at("jobs").querySelectorAll(".job-link")], index = links.indexOf(document.activeElement);
  const to = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: links.length - 1 }[event.key];
  if (index < 0 || to === undefined) return;
  event.preventDefault();
  links[Math.min(Math.max(to, 0), links.length - 1)].focus();
}
