// How bugs are planted: nothing in the emulator or the kernel knows of it. Instructions are changed where their
// handlers are generated, devices by replacing a method, the kernel's WebAssembly by a word of its memory.
import { compile, type EngineModules } from "../../emulator/cpu/engine.js";
import type { Form } from "../../emulator/cpu/form.js";
import type { Definition, Meaning, Operand } from "../../emulator/cpu/instructions/define.js";
import { programOf } from "../../emulator/cpu/program.js";
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
