/** Follows jobs of Operator status. Types of /client.js. */

/** What is followed: at least one of the three names; all that are given must match. */
export interface Question {
  owner?: string;
  agreementId?: string;
  jobId?: string;
  /** Where the API is; by default where this module was loaded from. */
  api?: string;
  /** A bearer token. It goes into headers only, never into a URL. */
  token?: string;
  /** How many jobs are followed, the newest ones: 1 to 1000, which is the default. */
  limit?: number;
  /** What `next` was of an earlier page: jobs that are older than those. Such a page is asked for again and again. */
  cursor?: string;
  /** Told whenever something changed, first as soon as the API has answered. */
  onChange?: (jobs: Entry[], page: Page) => void;
  /** Told whenever it is another one: how far what is shown can be trusted. */
  onState?: (state: State) => void;
}

/** One attempt of a job. An entry that did not change stays the same object. */
export interface Entry {
  /** The same for as long as the attempt is followed. */
  readonly key: string;
  /** The same for all attempts of a job. */
  readonly identity: string;
  readonly attempt: number;
  readonly job: Job;
  /** How it got there; null while that is not known, and for a moment of an earlier state than `job`. */
  readonly timeline: Timeline | null;
}

/** An object of GET /api/v1/operator/status. */
export interface Job {
  owner: string;
  agreementId: string;
  jobId: string;
  dateCreated: string;
  dateFinished: string | null;
  /** 1 to 5; never goes back. */
  status: number;
  statusText: string;
  configlogURL: string | null;
  publishlogURL: string | null;
  algologURL: string | null;
  outputsURL: string[];
}

/** An object of GET /api/v1/operator/status/timeline. */
export interface Timeline {
  owner: string;
  agreementId: string;
  jobId: string;
  attempt: number;
  status: number;
  statusText: string;
  dateCreated: string;
  dateFinished: string | null;
  /** When it is let go unless there is news of it; null where that is not known. */
  expiresAt: string | null;
  stages: Stage[];
  message: string | null;
  outcome: "succeeded" | "failed" | "cancelled" | null;
  error: string | null;
  /** Why it is where it is, most urgent first. */
  diagnosis: Cause[];
  refused: { reason: string; date: string; record?: string | null }[];
}

export interface Stage {
  status: number;
  statusText: string;
  date: string;
  source: string;
  eventId: string;
  /** Until the next stage that was reported; null while it lasts. */
  durationSeconds: number | null;
  /** While it lasts: when it should end. */
  expectedBy: string | null;
}

export interface Cause {
  /** From a list that is stable, such as "STAGE:OVERDUE". */
  code: string;
  since: string | null;
  evidence: Record<string, unknown>;
  hint: string;
  /** Whose turn it is. */
  actor: "user" | "worker" | "operator";
  /** Whether waiting can help. */
  retriable: boolean;
}

export interface Page {
  /** The cursor of older jobs than these, or null. */
  next: string | null;
  /** Why nothing matches, as far as that is known. */
  absent: { isGone: boolean; text: string } | null;
}

export interface State {
  /**
   * asking: no answer yet. live: changes come as they happen. polling: asked every few seconds. ended: all finished.
   * stale: nobody has confirmed the projection since `since`. reconnecting, lost: the API cannot be reached since
   * `since`. rebuilding: the projection is filled again, `progress` percent. unavailable: the API says `text` instead of
   * an answer, for now. refused: it says so for good, and following has ended.
   */
  kind:
    | "asking" | "live" | "polling" | "ended" | "stale" | "reconnecting" | "lost" | "rebuilding" | "unavailable"
    | "refused";
  since: string | null;
  text: string;
  progress: number | null;
  /** Events that are in the log and not yet shown; null when nobody knows. */
  lag: number | null;
  /** Why a part of the log does not go on. */
  held: string[];
  /** When the API answered last; of what is wrong only. */
  answered: string | null;
  /** How far the server's clock is ahead of this one, when that can be told and matters. */
  clockSeconds: number;
}

/** Follow jobs; returns what ends it. */
export function follow(question: Question): () => void;
