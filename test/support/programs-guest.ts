// A Linux guest that runs Debian's programs from their disk: Debian's kernel, its disk driver, and the image mounted
// beneath /disk, where a script finds a Debian as it is on the host.

import { openDisk } from "../../emulator/disk.js";
import { programsDisk } from "./debian.js";
import { disk, linux, prompt, SHORT_COMMAND_LINE } from "./linux.js";
import { SeededLinux } from "./linux-seeded.js";
import { fileName, type Program, scripts } from "./programs.js";

export const GUEST_MEMORY = 768 << 20;
export const GUEST_COMMAND_LINE = `${SHORT_COMMAND_LINE} quiet`;

/** What a script printed, and its status. */
export interface Ending {
  readonly output: string;
  readonly status: number;
}

export const programsInitrd = (programs: readonly Program[]): Uint8Array => {
  const files = scripts(programs).map((file) => ({ ...file, path: `/programs/${file.path}` }));
  return linux.initrd({ modules: disk, files });
};

/** Booted, with the disk mounted; what is written to it is forgotten with the machine. */
export async function startGuest(programs: readonly Program[], cores = 1): Promise<SeededLinux> {
  const guest = await SeededLinux.start({
    cores,
    memory: GUEST_MEMORY,
    initrd: programsInitrd(programs),
    commandLine: GUEST_COMMAND_LINE,
    disks: [openDisk({ path: programsDisk.image, mode: "cow" })],
  });
  await guest.until(prompt);
  const mounted = await guest.command("sh /programs/mount");
  if (mounted !== "mounted") throw new Error(`the guest could not mount the disk: ${mounted}`);
  return guest;
}

export const runLine = ({ name }: Program): string => `sh /programs/run ${fileName(name)}`;

export async function runInGuest(guest: SeededLinux, program: Program, seconds: number): Promise<Ending> {
  // The console has a character for each byte.
  const said = Buffer.from(await guest.command(runLine(program), seconds), "latin1").toString();
  return ending(said);
}

export function ending(said: string): Ending {
  const match = /^(.*?)\n?status: (\d+)$/s.exec(said);
  if (match === null) throw new Error(`no status at the end of what the guest said:\n${said.slice(-2000)}`);
  return { output: match[1]!, status: Number(match[2]) };
}
