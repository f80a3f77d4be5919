// The commands that a test file starts: what still runs after a test is stopped before the next begins.
import { afterEach } from "vitest";
import { Command } from "./cluster.js";

/** Gives the function that starts one; `env` is added to every command's environment. */
export function commands(env: Record<string, string> = {}): (...args: (string | number)[]) => Command {
  const running: Command[] = [];
  afterEach(async () => {
    for (const command of running.splice(0)) {
      command.kill("SIGTERM");
      await command.ended;
    }
  });
  return (...args) => {
    const command = new Command(args, env);
    running.push(command);
    return command;
  };
}
