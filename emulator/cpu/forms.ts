// The handlers of forms: generated when a form is first met, in batches, each a module that puts its functions into
// the shared table. One set of modules serves every machine of the process; an engine instantiates them over its own
// memory and table. What a boot of the bundled kernel needs is generated when the project is built (build-forms.ts).
// Invariant: a form has one slot for the life of the process, and its handler is in the table of every engine that
// has decoded an op of it.

import { type Form, formKey } from "./form.js";
import { rows } from "./instructions/index.js";
import { type Linkage, SLOT } from "./lowering/linkage.js";
import { END_OF_BLOCK, END_OF_LEGACY_BLOCK, lower } from "./meaning.js";
import { type FunctionCode, module } from "./wasm.js";

/** Handlers that were generated earlier: a module, and the slot of each form in it. */
export interface ReadyForms {
  readonly module: WebAssembly.Module;
  readonly slots: readonly (readonly [key: string, slot: number])[];
  readonly slotsEnd: number;
}

export class Forms {
  readonly #linkage: Linkage;
  readonly #slots: Map<string, number>;
  readonly #rowNumbers = new Map(rows.map((row, index) => [row, index]));
  readonly #modules: WebAssembly.Module[] = [];
  /** Generated in this process, all of it and what is not compiled yet. */
  readonly #generated: FunctionCode[] = [];
  #pending: FunctionCode[] = [];
  #slotsEnd: number;
  /** Those that were asked for in this process. */
  readonly #forms = new Map<number, Form>([
    [SLOT.endOfBlock, END_OF_BLOCK],
    [SLOT.endOfLegacyBlock, END_OF_LEGACY_BLOCK],
  ]);
  /** Functions for runs of ops, by what they do. */
  readonly #fused = new Map<string, number>();

  constructor(linkage: Linkage, ready?: ReadyForms) {
    this.#linkage = linkage;
    this.#slots = new Map(ready?.slots);
    this.#slotsEnd = ready?.slotsEnd ?? linkage.firstFormSlot;
    if (ready !== undefined) this.#modules.push(ready.module);
  }

  /** The table slot of a form's handler, which is there once flush() has been called. */
  slot(form: Form): number {
    const key = formKey(form, this.#rowNumbers.get(form.row) ?? -1);
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = this.#slotsEnd;
      const handlers = lower(form, slot, this.#linkage);
      this.#slotsEnd += handlers.length;
      this.#pending.push(...handlers);
      this.#generated.push(...handlers);
      this.#slots.set(key, slot);
    }
    if (!this.#forms.has(slot)) this.#forms.set(slot, form);
    return slot;
  }
  /** Whose handler stands there; undefined: no form's. */
  formAt(slot: number): Form | undefined {
    return this.#forms.get(slot);
  }

  /** The table slot of a function for a run of ops, there once flush() has been called; undefined: there are `most` already. */
  fused(
    key: string,
    most: number,
    write: (slot: number, linkage: Linkage) => FunctionCode,
  ): number | undefined {
    let slot = this.#fused.get(key);
    if (slot === undefined && this.#fused.size < most) {
      slot = this.#slotsEnd++;
      this.#pending.push(write(slot, this.#linkage));
      this.#fused.set(key, slot);
    }
    return slot;
  }

  /** Compiles what is new. */
  flush(): void {
    if (this.#pending.length === 0) return;
    this.#modules.push(new WebAssembly.Module(module(this.#linkage.types, this.#pending)));
    this.#pending = [];
  }

  get modules(): readonly WebAssembly.Module[] {
    return this.#modules;
  }
  get slotsEnd(): number {
    return this.#slotsEnd;
  }
  /** All that was generated here, as one module, and the slots that go with it. */
  bundle(): { binary: Uint8Array<ArrayBuffer>; slots: ReadyForms["slots"]; slotsEnd: number } {
    const binary = module(this.#linkage.types, this.#generated);
    return { binary, slots: [...this.#slots], slotsEnd: this.#slotsEnd };
  }
}
