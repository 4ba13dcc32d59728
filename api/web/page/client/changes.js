// The stream of changes: what it says, and when it is opened again.
const AGAIN_SECONDS = 1, LONGEST_SECONDS = 60;
// A browser opens six connections to a server that speaks HTTP/1.1, for all of its tabs; who finds no place here asks.
const MOST_STREAMS = 2;
const SAID = ["snapshot", "status", "gone", "reset", "stale", "fresh", "end", "bye"];

let streams = 0;

/** At most one open stream; what it says is told to `hear(name, data)`, that it ended by itself to `onBreak()`. */
export class Changes {
  constructor({ onOpen, hear, onBreak }) {
    Object.assign(this, { onOpen, hear, onBreak, source: null, lastId: "", isOpen: false, failures: 0, openAt: 0 });
  }

  /** Whether there is somewhere to go on from, and it is time to. */
  get isDue() {
    return !this.source && streams < MOST_STREAMS && Boolean(this.lastId) && Boolean(globalThis.EventSource) && Date.now() >= this.openAt;
  }

  open(url) {
    streams++;
    this.parts = [];
    this.source = new EventSource(url);
    this.source.onopen = () => {
      Object.assign(this, { isOpen: true, failures: 0 });
      this.onOpen();
    };
    // The browser would try the same URL again, with a ticket that was used.
    this.source.onerror = () => this.breakOff();
    for (const name of SAID) this.source.addEventListener(name, event => this.take(name, event));
  }

  close() {
    if (this.source) streams--;
    this.source?.close();
    Object.assign(this, { source: null, isOpen: false });
  }

  /** Open it later, each time after twice as long; half of it by chance, so that not all come back at once. */
  putOff() {
    const seconds = Math.min(AGAIN_SECONDS * 2 ** this.failures++, LONGEST_SECONDS);
    this.openAt = Date.now() + 1000 * seconds * (0.5 + Math.random() / 2);
  }

  breakOff() {
    this.close();
    this.putOff();
    this.onBreak();
  }

  take(name, event) {
    const data = JSON.parse(event.data || "null");
    this.lastId = event.lastEventId || this.lastId;
    if (name === "bye") this.breakOff();
    else if (name !== "snapshot") this.hear(name, data);
    else if (Array.isArray(data)) this.hear(name, data);
    else this.collect(data);
  }

  // A large snapshot comes in parts.
  collect({ last, jobs }) {
    this.parts.push(...jobs);
    if (last) this.hear("snapshot", this.parts.splice(0));
  }
}
