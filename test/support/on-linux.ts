// A program on the host's Linux, as a judge of our kernel's: whoever runs the tests, and however he was started, the program
// is root of its own files, as programs of our kernel are, makes files without a mask and may open enough of them.
import { spawn, spawnSync } from "node:child_process";
import { temporaryFolder } from "./folder.js";

/** ms that a program may take. */
const LIMIT = 30_000;
const SETTING = 'umask 022; ulimit -n 4096 2>/dev/null || ulimit -n "$(ulimit -H -n)"; exec "$0" "$@"';

const isRoot = process.getuid?.() === 0;
const canBeRoot = !isRoot && spawnSync("unshare", ["--map-root-user", "true"]).status === 0;
/** Why permissions are not those of our kernel; nothing: they are. */
export const noRoot =
  isRoot || canBeRoot ? "" : " [skipped: neither root nor a user namespace (unshare --map-root-user)]";

function command(path: string, args: readonly string[]): [string, string[]] {
  const shell = ["sh", "-c", SETTING, path, ...args];
  const [program, ...rest] = canBeRoot ? ["unshare", "--map-root-user", ...shell] : shell;
  return [program!, rest];
}

const linesOf = (output: string): string[] => output.split("\n").filter((line) => line !== "");

/** What the first of so many processes printed, and last that it was ended, if it took too long. The shared files are in a folder. */
export async function onLinux(
  path: string,
  machines: number,
  cores: number,
  args: readonly string[] = [],
): Promise<string[]> {
  const folder = temporaryFolder();
  try {
    const nodes = Array.from({ length: machines }, (_, k) => {
      const env = { BUSLOCK_NODE: `${k + 1}`, BUSLOCK_NODES: `${machines}`, BUSLOCK_SHM: folder.path };
      const child = spawn(...command(path, args), {
        env: { PATH: process.env["PATH"], ...env, BUSLOCK_CORES: `${cores}` },
        stdio: ["ignore", "pipe", "inherit"],
        timeout: LIMIT,
        killSignal: "SIGKILL",
      });
      let output = "";
      child.stdout.on("data", (bytes: Buffer) => {
        output += bytes.toString("latin1");
      });
      return new Promise<string>((resolve) =>
        child.on("close", (_status, signal) =>
          resolve(signal === "SIGKILL" ? `${output}\nended on Linux after ${LIMIT} ms` : output),
        ),
      );
    });
    const [first] = await Promise.all(nodes);
    return linesOf(first!);
  } finally {
    folder.remove();
  }
}

/** A program alone, without shared files. */
export function aloneOnLinux(
  path: string,
  args: readonly string[] = [],
): { lines: string[]; status: number | null } {
  const { stdout, status } = spawnSync(...command(path, args), { encoding: "utf8", timeout: LIMIT });
  return { lines: linesOf(stdout), status };
}
