// A line per check, and a count at the end.

export class Checks {
  #suite;
  #passed = 0;
  #failed = 0;

  constructor(suite) {
    this.#suite = suite;
  }

  /** Runs `body`; what it throws is the reason of the failure. Later checks run all the same. */
  async check(name, body) {
    try {
      await body();
      this.#passed += 1;
      console.log(`ok    ${name}`);
    } catch (error) {
      this.#failed += 1;
      console.log(`FAIL  ${name}: ${error.message}`);
    }
  }

  /** Prints the closing line and answers the exit code. */
  close() {
    console.log(`${this.#suite}: ${this.#passed} passed, ${this.#failed} failed`);
    return this.#failed === 0 && this.#passed > 0 ? 0 : 1;
  }
}

/** Asks `probe` again and again until it answers something true, and answers that. */
export async function eventually(what, probe, ms = 5_000) {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await probe();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`${what} did not happen within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
