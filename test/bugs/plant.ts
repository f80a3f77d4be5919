// How bugs are planted: nothing in the emulator or the kernel knows of it. Instructions are changed where their
// handlers are generated, devices by replacing a method, the kernel's WebAssembly by a word of its memory, the running
// kernel by building it from a changed source file.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { compile, type EngineModules } from "../../emulator/cpu/engine.js";
import type { Form } from "../../emulator/cpu/form.js";
import type { Definition, Meaning, Operand } from "../../emulator/cpu/instructions/define.js";
import { programOf } from "../../emulator/cpu/program.js";
import { compileDialect } from "../../kernel/compiler/asc.js";
import { kernelImage, layout } from "../../kernel/compiler/image.js";
import type { Cpu } from "../support/cpu.js";

export interface Plant {
  /**
   * What is generated instead of a form. A check that runs cores on threads takes the function's text there: it may
   * use nothing from outside of itself.
   */
  readonly form?: (form: Form) => Form;
  /** Done after each instruction. */
  readonly after?: (cpu: Cpu) => void;
  /** Whether an interrupt that is posted to a core arrives. */
  readonly arrives?: (vector: number) => boolean;
  /** A vector that a core takes stays requested. */
  readonly keepsRequests?: boolean;
  /** The link takes a datagram again that it has taken. */
  readonly takesTwice?: boolean;
  /** A kernel of its own, built from a source file in which each text is replaced by another. */
  readonly kernel?: {
    readonly file: string;
    readonly changes: readonly (readonly [from: string, to: string])[];
  };
  /** Changed rows of the coherence table: state, event, next state, actions. */
  readonly rows?: readonly (readonly [state: string, event: string, next: string, ...actions: string[]])[];
}

/** The engine's modules with a generator of their own, which the plant has changed. */
export async function planted({ form: change }: Plant): Promise<EngineModules> {
  const { microcode, engine, signatures } = await compile();
  const modules = { microcode, engine, signatures };
  if (change === undefined) return modules;
  const { forms } = programOf(modules);
  const slot = forms.slot.bind(forms);
  forms.slot = (form) => slot(change(form));
  return modules;
}

/** The guest kernel's image, with the plant in it; undefined: as built. */
export async function plantedKernel({ kernel }: Plant): Promise<Uint8Array | undefined> {
  if (kernel === undefined) return undefined;
  const root = process.cwd();
  let text = readFileSync(join(root, kernel.file), "utf8");
  for (const [from, to] of kernel.changes) {
    if (text.split(from).length !== 2)
      throw new Error(`${kernel.file} has not exactly one place with: ${from}`);
    text = text.replace(from, () => to);
  }
  const { wasm } = await compileDialect({
    entry: "kernel/main.ts",
    root,
    memoryBase: layout.kernel.data,
    abort: "kernel/panic/assertionFailed",
    optimize: 3,
    files: new Map([[kernel.file, text]]),
  });
  return kernelImage(wasm).elf;
}

type Does = Definition["does"];

/** The form with another meaning, when it is an instruction of that mnemonic. */
export const meaning = (mnemonic: number, change: (does: Does) => Does) => (form: Form) =>
  form.mnemonic === mnemonic ? { ...form, row: { ...form.row, does: change(form.row.does) } } : form;

/** A meaning in which a word means something else; everything else is as it was. */
export function saying<Word extends keyof Meaning>(word: Word, instead: Meaning[Word]) {
  return (does: Does): Does =>
    (m: Meaning, ...operands: Operand[]) =>
      does(
        new Proxy(m, {
          get(target, name) {
            if (name === word) return instead;
            const value: unknown = Reflect.get(target, name, target);
            return typeof value === "function" ? value.bind(target) : value;
          },
        }),
        ...operands,
      );
}
