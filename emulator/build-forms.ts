// Generates ahead of time the handlers (cpu/forms.ts) that a boot of the bundled kernel needs, by booting it, and
// keeps them beside the engine as forms.wasm and forms.json. Without them, or with those of another build, the engine
// generates each handler when it first meets it: slower to start, otherwise the same. Run by build.mjs, from dist/.

import { rmSync, writeFileSync } from "node:fs";
import { compile } from "./cpu/engine.js";
import { engineDigest, type FormsIndex, formsFiles, programOf } from "./cpu/program.js";
import { archive, firmware, kernelPath, program, readImage } from "./images.js";
import { Machine } from "./machine.js";

/** Between them they use most of the kernel and of what the compiler emits for programs. */
const PROGRAMS = ["hello", "counter", "speed"];
const LIMIT_NANOSECONDS = 300e6;

rmSync(formsFiles.index, { force: true });
for (const name of PROGRAMS) {
  const { initrd, words } = archive(program(name));
  const machine = await Machine.create({
    cores: 2,
    firmware: await firmware(),
    kernel: readImage("kernel", kernelPath),
    initrd,
    commandLine: words.join(" "),
    mac: Uint8Array.of(0x52, 0x54, 0, 0, 0, 1),
  });
  machine.run({ limit: LIMIT_NANOSECONDS });
}
const { forms } = programOf(await compile());
const { binary, slots, slotsEnd } = forms.bundle();
const index: FormsIndex = { digest: engineDigest(), slots, slotsEnd };
writeFileSync(formsFiles.binary, binary);
writeFileSync(formsFiles.index, JSON.stringify(index));
