// The interpreter's fixed code, generated once: entering and leaving blocks, slow memory accesses, and what the run
// loop calls. The handlers of instructions are in forms.ts.
// Invariant: whenever generated code returns to the run loop, RIP and RUN_BUDGET are exact.

import { MODE_KEY } from "./decode.js";
import {
  A20_MASK_WORD,
  A20_SEEN,
  ACCESS_EXECUTE,
  ACCESS_STACK,
  ACTIVITY,
  ATTENTION,
  BLOCK_BYTES,
  BLOCK_COUNT,
  BLOCK_FOUND,
  BLOCK_FUSED,
  BLOCK_GENERATION,
  BLOCK_GENERATION_AT,
  BLOCK_HASH_ENTRIES,
  BLOCK_HEADER_BYTES,
  BLOCK_HEAT,
  BLOCK_KEY,
  BLOCK_MODE,
  BLOCK_NEXT,
  BLOCK_PHYSICAL,
  BLOCK_RIP,
  BLOCK_SECOND_AT,
  BLOCK_SECOND_GENERATION,
  BLOCK_SECOND_PAGE,
  CHAIN_SINK,
  CODE_CACHE_AT,
  CPL,
  CR0,
  CR4,
  CS,
  DEBUG_CHANGED,
  DEBUG_PENDING,
  DEBUGCTL_LBR,
  EMPTY_BANK,
  FAULT_ERROR,
  FAULT_HAS_ERROR,
  FAULT_VECTOR,
  FLAGS_OTHER,
  FPU_TRAP,
  INTERRUPT_WANTED,
  MODE,
  MODE_64,
  MSR_DEBUGCTL,
  NMI_BLOCKED,
  NMI_WANTED,
  OP_BYTES,
  OP_HANDLER,
  OP_OFFSET,
  OP_OWN,
  OP_REST,
  PERF_BLOCKS,
  RIP,
  RUN_BUDGET,
  RUN_OP,
  RUN_START,
  RUN_STOP,
  RUN_STOPPED,
  SEG_BASE,
  SEG_LIMIT,
  SEGMENT_BYTES,
  SEGMENTS,
  SHADOW,
  SHADOW_INTERRUPTS,
  SLOW_DATA_WORD,
  SSE_TRAP,
  TLB,
  TLB_BANK,
  TLB_CODE_BANK,
  TLB_DATA_BANKS,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_EXECUTE,
  TLB_PHYSICAL,
} from "./layout.js";
import { type Linkage, SLOT, TYPE } from "./lowering/linkage.js";
import { pushTlbEntry } from "./lowering/tlb.js";
import { END_OF_BLOCK, END_OF_LEGACY_BLOCK, lower } from "./meaning.js";
import { Body, type FunctionCode, type Label, module } from "./wasm.js";

/** Why generated code came back to the run loop. */
export const EXIT = {
  budget: 0,
  /** No block at RIP. */
  decode: 1,
  /** An exception is pending. */
  fault: 2,
  /** The attention word is not zero. */
  attention: 3,
  /** An event between instructions: shadow, TF, a halt, an interrupt that waited for IF. */
  event: 4,
  /** The block at BLOCK_FOUND is longer than the budget. */
  partial: 5,
  /** The op at RUN_OP has no row. */
  unimplemented: 6,
  /** slice(): the budget is gone, and nothing is to be looked at; or something is, and nothing has run. */
  done: 7,
  look: 8,
} as const;

const CORE = 0;
const UD = 6;
const NM = 7;
const GP = 13;
const CS_AT = SEGMENTS + CS * SEGMENT_BYTES;
const FLAG_TF = 1n << 8n;
const FLAG_IF = 1n << 9n;
const FLAG_RF = 1n << 16n;

/** A way to write a function: parameters' locals by name, and the body. */
function handler(slot: number, name: string | undefined, write: (code: Body) => void): FunctionCode {
  const code = new Body(3);
  write(code);
  code.op("unreachable");
  return { type: TYPE.handler, body: code.finish(), slot, ...(name === undefined ? {} : { name }) };
}

/** Leaves for the run loop. */
function exit(code: Body, why: number, budget: () => void): void {
  code.get(CORE);
  budget();
  code.access("i32.store", RUN_BUDGET);
  code.i32(why).op("return");
}

function pushRip(code: Body, offset: () => void): void {
  const mask = code.local("i64");
  code.get(CORE).access("i32.load", BLOCK_MODE).i32(MODE_64).op("i32.and");
  code.if();
  code.i64(-1n).set(mask);
  code.else();
  code.i64(0xffff_ffffn).set(mask);
  code.end();
  code.get(CORE).access("i64.load", BLOCK_RIP);
  offset();
  code.op("i64.add").get(mask).op("i64.and");
}
const pushOpOffset = (code: Body, op: number) => () => void code.get(op).access("i64.load8_u", OP_OFFSET);

/** RIP, budget and op stand in the core block while microcode or the host runs. */
function note(code: Body): void {
  code.get(CORE);
  pushRip(code, pushOpOffset(code, 1));
  code.access("i64.store", RIP);
  code.get(CORE).get(2).access("i32.store", RUN_BUDGET);
  code.get(CORE).get(1).access("i32.store", RUN_OP);
}

function raise(code: Body, vector: number, error: number | undefined): void {
  code.get(CORE).i32(vector).access("i32.store", FAULT_VECTOR);
  code
    .get(CORE)
    .i32(error ?? 0)
    .access("i32.store", FAULT_ERROR);
  code
    .get(CORE)
    .i32(error === undefined ? 0 : 1)
    .access("i32.store", FAULT_HAS_ERROR);
}

/** enter(core, patch, budget): runs the block at RIP, and remembers it at `patch`. */
function enter(linkage: Linkage): FunctionCode {
  return handler(SLOT.enter, "enter", (code) => {
    const [patch, budget] = [1, 2];
    const pushBudget = () => void code.get(budget);
    const [rip, linear] = [code.local("i64"), code.local("i64")];
    const [entry, physical, block, left] = [1, 2, 3, 4].map(() => code.local("i32"));

    code.get(CORE).access("i32.load", ATTENTION);
    code.if();
    exit(code, EXIT.attention, pushBudget);
    code.end();
    code.get(budget).i32(0).op("i32.le_s");
    code.if();
    exit(code, EXIT.budget, pushBudget);
    code.end();

    code.get(CORE).access("i64.load", RIP).tee(rip).set(linear);
    const legacy = () =>
      code.get(CORE).access("i32.load", BLOCK_MODE).i32(MODE_64).op("i32.and").op("i32.eqz");
    legacy();
    code.if();
    code
      .get(rip)
      .get(CORE)
      .access("i64.load32_u", CS_AT + SEG_LIMIT)
      .op("i64.gt_u");
    code.if();
    raise(code, GP, 0);
    exit(code, EXIT.fault, pushBudget);
    code.end();
    code
      .get(CORE)
      .access("i64.load", CS_AT + SEG_BASE)
      .get(rip)
      .op("i64.add");
    code.i64(0xffff_ffffn).op("i64.and").set(linear);
    code.end();

    // The page by the TLB; on a miss the microcode walks, and either faults or fills the entry.
    pushTlbEntry(code, () => code.get(linear), TLB_CODE_BANK).set(entry);
    const pushMiss = () =>
      code.get(entry).access("i64.load", TLB_EXECUTE).get(linear).i64(~0xfffn).op("i64.and").op("i64.ne");
    pushMiss();
    code.if();
    {
      const { slot, type } = linkage.function("translate");
      code.get(CORE).get(budget).access("i32.store", RUN_BUDGET);
      code.get(CORE).i32(0).access("i32.store", RUN_OP);
      code.get(CORE).get(linear).i64(BigInt(ACCESS_EXECUTE)).i32(slot).callIndirect(type).op("drop");
      code.get(CORE).access("i32.load", FAULT_VECTOR).i32(0).op("i32.ge_s");
      code.if();
      exit(code, EXIT.fault, pushBudget);
      code.end();
      pushMiss();
      code.if();
      exit(code, EXIT.decode, pushBudget);
      code.end();
    }
    code.end();

    code.get(entry).access("i32.load", TLB_PHYSICAL).i32(12).op("i32.shl");
    code.get(linear).op("i32.wrap_i64").i32(0xfff).op("i32.and").op("i32.or").set(physical);
    const found = code.block();
    // The block that came last from there is there again, mostly: its place in the hash table need not be fetched.
    const others = code.block();
    code.get(patch).access("i32.load").tee(block).op("i32.eqz").brIf(others);
    checkBlock(code, block, physical, others);
    code.get(block).access("i32.load", BLOCK_SECOND_AT).op("i32.eqz").brIf(found);
    code.end();
    code.get(physical);
    pushHash(code, physical);
    code.get(CORE).access("i32.load", CODE_CACHE_AT).op("i32.add").access("i32.load").set(block);
    const search = code.loop();
    code.get(block).op("i32.eqz");
    code.if();
    exit(code, EXIT.decode, pushBudget);
    code.end();
    const next = code.block();
    checkBlock(code, block, physical, next);
    code.get(block).access("i32.load", BLOCK_SECOND_AT).op("i32.eqz").brIf(found);
    checkSecondPage(code, block, linear, next);
    code.get(CORE).i32(CHAIN_SINK).op("i32.add").set(patch);
    code.br(found);
    code.end();
    code.get(block).access("i32.load", BLOCK_NEXT).set(block).br(search);
    code.end();
    code.end();

    legacy();
    code.if();
    code.get(rip).get(block).access("i64.load8_u", BLOCK_BYTES).op("i64.add");
    code
      .get(CORE)
      .access("i64.load32_u", CS_AT + SEG_LIMIT)
      .i64(1n)
      .op("i64.add")
      .op("i64.gt_u");
    code.if();
    exit(code, EXIT.decode, pushBudget);
    code.end();
    code.end();

    code.get(patch).get(block).access("i32.store");
    code.get(CORE).get(rip).access("i64.store", BLOCK_RIP);
    code
      .get(budget)
      .get(block)
      .access("i32.load8_u", BLOCK_COUNT)
      .op("i32.sub")
      .tee(left)
      .i32(0)
      .op("i32.lt_s");
    code.if();
    code.get(CORE).get(block).access("i32.store", BLOCK_FOUND);
    exit(code, EXIT.partial, pushBudget); // a shadow stays: the run may end here
    code.end();
    code.get(CORE).i32(0).access("i32.store", SHADOW);
    code.get(CORE).get(block).i32(BLOCK_HEADER_BYTES).op("i32.add").get(left);
    code
      .get(block)
      .access("i32.load16_u", BLOCK_HEADER_BYTES + OP_HANDLER)
      .returnCallIndirect(TYPE.handler);
  });
}

/** Leads elsewhere unless it is the block there, decoded in this mode, and its code is what it was. */
function checkBlock(code: Body, block: number, physical: number, otherwise: Label): void {
  code.get(block).access("i32.load", BLOCK_PHYSICAL).get(physical).op("i32.ne").brIf(otherwise);
  code.get(block).access("i32.load8_u", BLOCK_KEY);
  code.get(CORE).access("i32.load", BLOCK_MODE).op("i32.ne").brIf(otherwise);
  code.get(block).access("i32.load", BLOCK_GENERATION_AT).access("i32.load");
  code.get(block).access("i32.load", BLOCK_GENERATION).op("i32.ne").brIf(otherwise);
}

/** The byte offset of a physical address's hash entry; hashOf() is the same in TypeScript. */
function pushHash(code: Body, physical: number): void {
  code
    .get(physical)
    .i32(14)
    .op("i32.shr_u")
    .op("i32.xor")
    .i32(BLOCK_HASH_ENTRIES - 1)
    .op("i32.and");
  code.i32(2).op("i32.shl");
}
export const hashOf = (physical: number): number =>
  ((physical ^ (physical >>> 14)) & (BLOCK_HASH_ENTRIES - 1)) >>> 0;

/** A block of one instruction that runs on into the next page holds while that page is still the same. */
function checkSecondPage(code: Body, block: number, linear: number, otherwise: Label): void {
  const entry = code.local("i32");
  const page = code.local("i64");
  code.get(linear).i64(~0xfffn).op("i64.and").i64(0x1000n).op("i64.add").set(page);
  pushTlbEntry(code, () => code.get(page), TLB_CODE_BANK).tee(entry);
  code.access("i64.load", TLB_EXECUTE).get(page).op("i64.ne").brIf(otherwise);
  code.get(entry).access("i32.load", TLB_PHYSICAL);
  code.get(block).access("i32.load", BLOCK_SECOND_PAGE).op("i32.ne").brIf(otherwise);
  code.get(block).access("i32.load", BLOCK_SECOND_AT).access("i32.load");
  code.get(block).access("i32.load", BLOCK_SECOND_GENERATION).op("i32.ne").brIf(otherwise);
}

/**
 * resume(core, op, budget): goes on at RIP after a row that may have changed anything. STI's shadow ends where enter() goes
 * on with the next instruction: between the two nobody looks for interrupts.
 */
function resume(): FunctionCode {
  return handler(SLOT.resume, undefined, (code) => {
    refreshInto(code);
    code.get(CORE).access("i32.load", SHADOW).i32(~SHADOW_INTERRUPTS).op("i32.and");
    code.get(CORE).access("i32.load", ACTIVITY).op("i32.or");
    code.get(CORE).access("i32.load", DEBUG_PENDING).op("i32.or");
    code
      .get(CORE)
      .access("i64.load", FLAGS_OTHER)
      .i64(FLAG_TF | FLAG_RF)
      .op("i64.and")
      .op("i32.wrap_i64");
    code.op("i32.or");
    code.get(CORE).access("i32.load", DEBUG_CHANGED).op("i32.or");
    code.get(CORE).access("i64.load", FLAGS_OTHER).i64(FLAG_IF).op("i64.and").i64(0n).op("i64.ne");
    code.get(CORE).access("i32.load", INTERRUPT_WANTED).op("i32.and").op("i32.or");
    code.get(CORE).access("i32.load", NMI_WANTED).get(CORE).access("i32.load", NMI_BLOCKED).op("i32.gt_u");
    code.op("i32.or");
    code.if();
    exit(code, EXIT.event, () => void code.get(2));
    code.end();
    code.get(CORE).get(CORE).i32(CHAIN_SINK).op("i32.add").get(2);
    code.i32(SLOT.enter).returnCallIndirect(TYPE.handler);
  });
}

/** Recomputes what generated code derives from CPL, MODE, CR0, CR4 and RFLAGS.AC. */
function refreshInto(code: Body): void {
  const bankBytes = TLB_ENTRIES * TLB_ENTRY_BYTES;
  const bank = code.local("i32");
  // For instructions: the bank after those for data, and in ring 3 the next one.
  code.get(CORE);
  code
    .get(CORE)
    .i32(TLB + TLB_DATA_BANKS * bankBytes)
    .op("i32.add");
  code.get(CORE).access("i32.load", CPL).i32(3).op("i32.eq").i32(bankBytes).op("i32.mul").op("i32.add");
  code.access("i32.store", TLB_CODE_BANK);
  // For data: bank 1 in ring 3; else bank 2 where SMAP is on and AC opens the user's pages; else bank 0.
  const CR4_SMAP_BIT = 21;
  const FLAG_AC_BIT = 18;
  code.get(CORE).i32(TLB).op("i32.add");
  code.i32(1);
  code.get(CORE).access("i32.load", CR4).i32(CR4_SMAP_BIT).op("i32.shr_u");
  code.get(CORE).access("i32.load", FLAGS_OTHER).i32(FLAG_AC_BIT).op("i32.shr_u").op("i32.and");
  code.i32(1).op("i32.and").i32(1).op("i32.shl");
  code.get(CORE).access("i32.load", CPL).i32(3).op("i32.eq").op("select");
  code.i32(bankBytes).op("i32.mul").op("i32.add").set(bank);
  // Alignment checking (ring 3, CR0.AM and AC), a store buffer and onlookers see every access: data then have a
  // bank that never hits.
  const CR0_AM_BIT = 18;
  code.get(CORE);
  code.i32(EMPTY_BANK).get(bank);
  code.get(CORE).access("i32.load", CR0).i32(CR0_AM_BIT).op("i32.shr_u");
  code.get(CORE).access("i32.load", FLAGS_OTHER).i32(FLAG_AC_BIT).op("i32.shr_u").op("i32.and");
  code.get(CORE).access("i32.load", CPL).i32(3).op("i32.eq").op("i32.and");
  code.i32(SLOW_DATA_WORD).access("i32.load").op("i32.or");
  code.op("select").access("i32.store", TLB_BANK);
  code
    .get(CORE)
    .get(CORE)
    .access("i32.load", MODE)
    .i32(MODE_KEY)
    .op("i32.and")
    .access("i32.store", BLOCK_MODE);
  const CR0_EM = 4;
  const CR0_TS = 8;
  const CR4_OSFXSR = 0x200;
  code.get(CORE);
  code.i32(UD).i32(NM).i32(0);
  code.get(CORE).access("i32.load", CR0).i32(CR0_TS).op("i32.and").op("select");
  code.get(CORE).access("i32.load", CR0).i32(CR0_EM).op("i32.and");
  code
    .get(CORE)
    .access("i32.load", CR4)
    .i32(CR4_OSFXSR)
    .op("i32.and")
    .op("i32.eqz")
    .op("i32.or")
    .op("select");
  code.access("i32.store", SSE_TRAP);
  code.get(CORE);
  code
    .i32(NM)
    .i32(0)
    .get(CORE)
    .access("i32.load", CR0)
    .i32(CR0_EM | CR0_TS)
    .op("i32.and")
    .op("select");
  code.access("i32.store", FPU_TRAP);
}

/**
 * Runs as much of a block as the budget covers; gives why it came back. The op that may not run any more becomes a stop
 * meanwhile: with less budget than the block has ops nobody can come to it by way of another block. What is charged here
 * is given back by the rest of the ops at every exit.
 */
function pushPartial(code: Body, block: number, budget: number): void {
  const [left, stop, why] = ["i32", "i32", "i32"].map((type) => code.local(type as "i32"));
  const pushOp = () => void code.get(block).i32(BLOCK_HEADER_BYTES).op("i32.add");
  const runFrom = (handler: number) => {
    code.get(CORE);
    pushOp();
    code
      .get(left)
      .get(block)
      .access("i32.load16_u", BLOCK_HEADER_BYTES + handler);
    code.callIndirect(TYPE.handler).set(why);
  };
  code.get(CORE).get(CORE).access("i64.load", RIP).access("i64.store", BLOCK_RIP);
  code.get(budget).get(block).access("i32.load8_u", BLOCK_COUNT).op("i32.sub").tee(left);
  code.i32(0).op("i32.ge_s");
  code.if();
  runFrom(OP_HANDLER);
  code.else();
  pushOp();
  code.get(budget).i32(OP_BYTES).op("i32.mul").op("i32.add").set(stop);
  code.get(CORE).get(stop).access("i32.load16_u", OP_HANDLER).access("i32.store", RUN_STOPPED);
  code.get(CORE).get(stop).access("i32.store", RUN_STOP);
  code.get(stop).i32(SLOT.stop).access("i32.store16", OP_HANDLER);
  // By its own handler: the first op's other one may be that of a fused block, which would go past the stop.
  runFrom(OP_OWN);
  code.get(stop).get(CORE).access("i32.load", RUN_STOPPED).access("i32.store16", OP_HANDLER);
  code.get(CORE).i32(0).access("i32.store", RUN_STOP);
  code.end();
  code.get(why);
}

/** partial(core, block, budget). */
function partial(): FunctionCode {
  const code = new Body(3);
  pushPartial(code, 1, 2);
  return { type: TYPE.handler, body: code.finish(), name: "partial" };
}

/** Whether Events.take() would do anything. */
function pushPending(code: Body): void {
  code.get(CORE).access("i32.load", ATTENTION);
  code.get(CORE).access("i32.load", A20_SEEN).i32(A20_MASK_WORD).access("i32.load").op("i32.ne").op("i32.or");
  code.get(CORE).access("i32.load", NMI_WANTED).op("i32.or");
  code.get(CORE).access("i64.load", FLAGS_OTHER).i64(FLAG_IF).op("i64.and").i64(0n).op("i64.ne");
  code.get(CORE).access("i32.load", INTERRUPT_WANTED).op("i32.and").op("i32.or");
}

/**
 * slice(core, hot, budget): what the run loop does for a core of which nothing is to be looked at, in one call: cores that
 * take turns do an instruction or two each time. EXIT.partial: the block has had `hot` instructions (fusion.ts).
 */
function slice(): FunctionCode {
  const code = new Body(3);
  const [hot, budget] = [1, 2];
  const [why, block, heat] = [1, 2, 3].map(() => code.local("i32"));
  pushPending(code);
  code.get(CORE).access("i32.load", SHADOW).op("i32.or");
  code.get(CORE).access("i32.load", DEBUG_PENDING).op("i32.or");
  code.get(CORE).access("i32.load", DEBUG_CHANGED).op("i32.or");
  code.get(CORE).access("i32.load", ACTIVITY).op("i32.or");
  code.get(CORE).access("i32.load", PERF_BLOCKS).op("i32.or");
  code.get(CORE).access("i32.load", MSR_DEBUGCTL).i32(DEBUGCTL_LBR).op("i32.and").op("i32.or");
  code
    .get(CORE)
    .access("i64.load", FLAGS_OTHER)
    .i64(FLAG_TF | FLAG_RF)
    .op("i64.and")
    .i64(0n)
    .op("i64.ne");
  code.op("i32.or");
  code.if();
  code.i32(EXIT.look).op("return");
  code.end();
  refreshInto(code);
  code.get(CORE).i32(0).access("i32.store", RUN_OP);
  code.get(CORE).get(CORE).i32(CHAIN_SINK).op("i32.add").get(budget);
  code.i32(SLOT.enter).callIndirect(TYPE.handler).tee(why);
  code.i32(EXIT.partial).op("i32.eq");
  code.if();
  code.get(CORE).access("i32.load", RUN_BUDGET).set(budget);
  code.get(CORE).access("i32.load", BLOCK_FOUND).set(block);
  code.get(block).access("i32.load8_u", BLOCK_FUSED).op("i32.eqz");
  code.get(block).access("i32.load", BLOCK_SECOND_AT).op("i32.eqz").op("i32.and");
  code.if();
  code.get(block).access("i32.load", BLOCK_HEAT);
  code.get(CORE).access("i32.load", RUN_START).get(budget).op("i32.sub").op("i32.add").tee(heat);
  code.get(hot).op("i32.ge_s");
  code.if();
  code.get(why).op("return");
  code.end();
  code.get(block).get(heat).access("i32.store", BLOCK_HEAT);
  code.end();
  code.get(CORE).i32(0).access("i32.store", SHADOW);
  pushPartial(code, block, budget);
  code.set(why);
  code.end();
  pushPending(code);
  code.get(why).i32(EXIT.budget).op("i32.ne").op("i32.or");
  code.get(CORE).access("i32.load", RUN_BUDGET).op("i32.or");
  code.if();
  code.get(why).op("return");
  code.end();
  code.i32(EXIT.done);
  return { type: TYPE.handler, body: code.finish(), name: "slice" };
}
function refresh(): FunctionCode {
  const code = new Body(1);
  refreshInto(code);
  return { type: TYPE.core, body: code.finish(), name: "refresh" };
}

/** The faulting instruction is not charged. */
const pushUncharged = (code: Body) => () =>
  void code.get(2).get(1).access("i32.load8_u", OP_REST).op("i32.add").i32(1).op("i32.add");

function leaving(slot: number, why: number, before: (code: Body) => void = () => {}): FunctionCode {
  return handler(slot, undefined, (code) => {
    before(code);
    note(code);
    exit(code, why, pushUncharged(code));
  });
}

/** Slow memory accesses: the microcode, with the core's place noted. */
function slowAccesses(linkage: Linkage): FunctionCode[] {
  const call = (code: Body, name: string, push: () => void) => {
    const { slot, type } = linkage.function(name);
    code.get(CORE);
    push();
    code.i32(slot).callIndirect(type);
  };
  const [linear, bytes, value] = [3, 4, 5];
  const wide = (code: Body) => code.get(bytes).i64(0xffn).op("i64.and").i64(16n).op("i64.eq");
  const stackFlag = (code: Body) => code.get(bytes).i64(BigInt(ACCESS_STACK)).op("i64.and");
  const done = (code: Body) => code.get(CORE).i32(0).access("i32.store", RUN_OP);

  const load = new Body(5);
  const result = load.local("i64");
  note(load);
  wide(load).if();
  call(load, "loadSlow16", () => stackFlag(load.get(linear)));
  load.set(result).else();
  call(load, "loadSlow", () => load.get(linear).get(bytes));
  load.set(result).end();
  done(load).get(result);

  const store = new Body(6);
  note(store);
  wide(store).if();
  call(store, "storeSlow16", () => stackFlag(store.get(linear)));
  store.op("drop").else();
  call(store, "storeSlow", () => store.get(linear).get(bytes).get(value));
  store.op("drop").end();
  done(store);

  const probe = new Body(5);
  note(probe);
  call(probe, "probeWrite", () => probe.get(linear).get(bytes));
  done(probe);

  return [
    { type: TYPE.loadSlow, body: load.finish(), slot: SLOT.loadSlow },
    { type: TYPE.storeSlow, body: store.finish(), slot: SLOT.storeSlow },
    { type: TYPE.loadSlow, body: probe.finish(), slot: SLOT.probeWrite },
  ];
}

const BUS_IMPORTS = [
  { name: "lockBus", type: TYPE.core, slot: SLOT.lockBus },
  { name: "unlockBus", type: TYPE.core, slot: SLOT.unlockBus },
] as const;

/** The module of everything but the rows' handlers. Exports what engine.ts calls. */
export function engineModule(linkage: Linkage): Uint8Array<ArrayBuffer> {
  const slowCall = new Body(3);
  note(slowCall);
  slowCall.i32(0);
  const functions: FunctionCode[] = [
    enter(linkage),
    resume(),
    refresh(),
    partial(),
    slice(),
    leaving(SLOT.fault, EXIT.fault),
    leaving(SLOT.invalid, EXIT.fault, (code) => raise(code, UD, undefined)),
    leaving(SLOT.tooLong, EXIT.fault, (code) => raise(code, GP, 0)),
    leaving(SLOT.unimplemented, EXIT.unimplemented),
    leaving(SLOT.stop, EXIT.budget),
    { type: TYPE.handler, body: slowCall.finish(), slot: SLOT.slowCall },
    ...slowAccesses(linkage),
    ...lower(END_OF_BLOCK, SLOT.endOfBlock, linkage),
    ...lower(END_OF_LEGACY_BLOCK, SLOT.endOfLegacyBlock, linkage),
    ...BUS_IMPORTS.map(({ type, slot }, index) => {
      const code = new Body(1);
      code.get(CORE).call(index);
      return { type, body: code.finish(), slot };
    }),
  ];
  return module(linkage.types, functions, BUS_IMPORTS);
}
