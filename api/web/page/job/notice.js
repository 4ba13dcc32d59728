// Tells whoever wants it when a job ends, by a notification of the browser's.
import { at } from "../dom.js";
import { LOOKS, standingOf } from "../standing.js";

/** The button that asks for a notification, and the notification. */
export class EndNotice {
  constructor() {
    this.button = at("notify");
    this.button.addEventListener("click", () => this.toggle());
  }

  /** Say what is shown; the one that was waited for may have ended with it. */
  about(entry) {
    const { isFinished, outcome } = standingOf(entry);
    if (this.wanted === entry.key && isFinished && outcome !== "finished") this.tell(entry, outcome);
    this.key = entry.key;
    this.button.hidden = isFinished || !globalThis.Notification || !isSecureContext;
    this.button.setAttribute("aria-pressed", this.wanted === entry.key);
  }

  async toggle() {
    const isWanted = this.wanted !== this.key && (await Notification.requestPermission()) === "granted";
    this.wanted = isWanted ? this.key : null;
    this.button.setAttribute("aria-pressed", isWanted);
    if (!isWanted && Notification.permission === "denied") at("said").textContent = "The browser does not let this page notify";
  }

  tell({ job }, outcome) {
    this.forget();
    const notification = new Notification(`${LOOKS[outcome].word}: ${job.jobId}`, { body: `${job.statusText}, ${job.dateFinished}`, tag: job.jobId });
    notification.addEventListener("click", () => focus());
  }

  /** Wait for nothing any more. */
  forget() {
    this.wanted = null;
  }
}
