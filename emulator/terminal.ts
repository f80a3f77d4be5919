// What is typed at the command, as input of the guest's serial line. A terminal is put into raw mode for a foreign
// kernel, so that the guest sees every key; Ctrl-A is the way out, as with QEMU: Ctrl-A x ends the machine,
// Ctrl-A Ctrl-A sends one. Our own kernel reads nothing: there Ctrl-C goes on to mean interrupt.

const ESCAPE = 0x01;
const END = "x".charCodeAt(0);

export interface TerminalOptions {
  /** Every key is the guest's. */
  readonly raw: boolean;
  readonly typed: (bytes: Uint8Array) => void;
  readonly end: () => void;
}

/** Takes the standard input until the function that it gives is called. */
export function takeTerminal({ raw, typed, end }: TerminalOptions): () => void {
  const { stdin } = process;
  const escapes = raw && stdin.isTTY;
  if (escapes) stdin.setRawMode(true);
  let escaped = false;
  const hear = (chunk: Buffer) => {
    if (!escapes) {
      typed(chunk);
      return;
    }
    const bytes: number[] = [];
    for (const byte of chunk) {
      if (!escaped && byte === ESCAPE) escaped = true;
      else if (escaped && byte === END) end();
      else {
        bytes.push(byte);
        escaped = false;
      }
    }
    if (bytes.length > 0) typed(Uint8Array.from(bytes));
  };
  // A standard input that breaks off is one that says nothing more.
  stdin.on("error", () => {});
  stdin.on("data", hear);
  return () => {
    stdin.off("data", hear);
    if (escapes) stdin.setRawMode(false);
    stdin.pause();
    // A file as standard input has nothing to unref.
    (stdin as Partial<typeof stdin>).unref?.();
  };
}
