// Lines as they come, and below them one line of progress that is rewritten in place where the terminal can.

export class Progress {
  readonly #on: boolean;
  readonly #terminal = process.stderr.isTTY === true;
  #shown = false;

  constructor(on: boolean) {
    this.#on = on;
  }

  line(text: string): void {
    if (!this.#on) return;
    this.#clear();
    process.stdout.write(`${text}\n`);
  }

  show(text: string): void {
    if (!this.#on || !this.#terminal) return;
    this.#clear();
    process.stderr.write(text);
    this.#shown = true;
  }

  end(): void {
    this.#clear();
  }

  #clear(): void {
    if (this.#shown) process.stderr.write("\r\x1b[K");
    this.#shown = false;
  }
}
