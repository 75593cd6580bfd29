// Work that follows typing: it begins when the typing pauses, and ends when there is something newer to do.

import { ServerError } from "./server.js";

const OFFLINE_WAITS = [2, 5, 15, 30]; // seconds

/** Runs the newest of several pieces of work, one at a time. */
export class Live {
  #timer = 0;
  #running = null;
  #failures = 0;

  /**
   * @param {(signal: AbortSignal) => Promise<void>} work What is done.
   * @param {(busy: boolean) => void} onBusy Called when it begins and when all is done.
   * @param {(error: Error|null, seconds: number|null) => void} onError Called with what went wrong, and in how many
   *   seconds it is tried again, if it is; with null when something new begins.
   */
  constructor(work, onBusy, onError) {
    Object.assign(this, { work, onBusy, onError });
    window.addEventListener("online", () => {
      if (this.#failures) this.after(0);
    });
  }

  /** Do it after a pause of so many milliseconds, instead of whatever is being done. */
  after(milliseconds) {
    this.stop();
    this.#timer = setTimeout(() => this.#run(), milliseconds);
  }

  /** Do nothing any more. */
  stop() {
    clearTimeout(this.#timer);
    this.#running?.abort();
    this.#running = null;
    this.onBusy(false);
  }

  async #run() {
    const controller = new AbortController();
    this.#running = controller;
    this.onBusy(true);
    try {
      await this.work(controller.signal);
      if (this.#running !== controller) return;
      this.#failures = 0;
      this.onError(null, null);
    } catch (error) {
      if (this.#running !== controller) return; // something newer has begun
      this.#fail(error);
    }
    this.#running = null;
    this.onBusy(false);
  }

  #fail(error) {
    if (!(error instanceof ServerError)) console.error(error);
    this.#failures += 1;
    const silent = error instanceof ServerError && error.status === 0;
    const seconds = silent ? OFFLINE_WAITS[Math.min(this.#failures, OFFLINE_WAITS.length) - 1] : (error.retryAfter ?? null);
    this.onError(error, seconds);
    if (seconds !== null) this.#timer = setTimeout(() => this.#run(), seconds * 1000);
  }
}
