// The stack: PUSH POP PUSHA POPA PUSHF POPF ENTER LEAVE. Intel SDM vol. 2. Segment registers are pushed and popped
// in segments.ts. A fault in the middle of PUSHA or ENTER leaves words below the stack pointer written, as real
// processors may; no register has changed, so the instruction starts over.

import { Mnemonic } from "../../iced.js";
import type { Definition, General, Meaning, Operand, Value, Width } from "./define.js";
import { none, RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP } from "./define.js";

const GP = 13;
const IOPL = 3n << 12n;
const IF_BIT = 9;
const IF = 1n << 9n;
const VIF_BIT = 19;
const VM = 1n << 17n;
const RF = 1n << 16n;
/** What POPF may change at CPL 0: CF PF AF ZF SF TF IF DF OF IOPL NT, and with 32 bits AC and ID. */
const POPF_WORD = 0x7fd5n;
const POPF_ALL = POPF_WORD | (1n << 18n) | (1n << 21n);
const POPF_FLAGS = "CF PF AF ZF SF TF IF DF OF";

const general = (_code: unknown, kinds: readonly Operand["kind"][]) => kinds[0] !== "segment";

/** IOPL, width 8. */
export const ioPrivilege = (m: Meaning): Value => m.truncate(m.bitsOf(m.rflags(), 12, 2), 8);

/** In virtual-8086 mode these instructions are the monitor's unless IOPL is 3, or VIF is there (microcode/virtual.ts). */
function virtualBelowIopl3(m: Meaning): Value {
  const virtual = m.truncate(m.bitsOf(m.rflags(), 17, 1), 8);
  return m.and(virtual, m.notEqual(ioPrivilege(m), m.constant(3, 8)));
}

const PUSHA_ORDER = [RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI] as const;

function pushAll(width: 16 | 32) {
  return (m: Meaning) => {
    const values = PUSHA_ORDER.map((r) => m.register(r, width)); // SP as it was before
    for (const v of values) m.push(v);
  };
}
function popAll(width: 16 | 32) {
  return (m: Meaning) => {
    const popped = [...PUSHA_ORDER].reverse().map((r) => [r, m.pop(width)] as const);
    for (const [r, v] of popped) if (r !== RSP) m.setRegister(r as General, v);
  };
}

const pushFlags = (width: 16 | 32 | 64) => (m: Meaning) => {
  let image = m.and(m.rflags(), m.constant(~(VM | RF) & 0xff_ffffn, 64));
  if (!m.mode64) {
    const barred = virtualBelowIopl3(m);
    if (width === 16) {
      m.when(barred, () => m.faultWhen(m.isZero(m.compute("virtualImages")), GP, 0));
      const vif = m.bitsOf(image, VIF_BIT, 1);
      const own = m.or(m.and(image, m.constant(~IF, 64)), m.shiftLeft(vif, m.constant(IF_BIT, 8)));
      image = m.select(barred, m.or(own, m.constant(IOPL, 64)), image);
    } else m.faultWhen(barred, GP, 0);
  }
  m.push(m.truncate(image, width));
};

const popFlags = (width: 16 | 32 | 64) => (m: Meaning) => {
  const barred = m.mode64 ? undefined : virtualBelowIopl3(m);
  if (barred !== undefined && width !== 16) m.faultWhen(barred, GP, 0);
  const old = m.rflags();
  const popped = m.zeroExtend(m.pop(width), 64);
  if (barred !== undefined && width === 16)
    m.when(barred, () => m.faultWhen(m.isZero(m.compute("virtualPop", popped)), GP, 0));
  // IOPL changes at CPL 0 only, IF only when CPL <= IOPL; elsewhere the attempt is silent.
  const supervisor = m.isZero(m.privilege());
  const mayMask = m.isZero(m.lessUnsigned(ioPrivilege(m), m.privilege()));
  const constant = (n: bigint) => m.constant(n, 64);
  let writable = constant((width === 16 ? POPF_WORD : POPF_ALL) & ~(IF | IOPL));
  writable = m.or(writable, m.select(mayMask, constant(IF), constant(0n)));
  writable = m.or(writable, m.select(supervisor, constant(IOPL), constant(0n)));
  m.setRflags(m.or(m.and(popped, writable), m.and(old, m.not(writable))), POPF_ALL);
};

const resize = (m: Meaning, v: Value, width: Width) =>
  width < v.width ? m.truncate(v, width) : m.zeroExtend(v, width);

const ENTER_LEVELS = 32;

/** ENTER: the display of up to 31 outer frames is copied word by word, each under its own condition. */
function enter(m: Meaning, size: Operand, nesting: Operand): void {
  const width = m.operandSize;
  const before = m.stackPointer();
  const constant = (n: number) => m.constant(n, before.width);
  const bytes = width / 8;
  const level = m.and(resize(m, m.get(nesting), before.width), constant(ENTER_LEVELS - 1));
  const frame = m.minus(before, constant(bytes));
  const end = m.minus(frame, m.times(level, constant(bytes)));
  const bottom = m.minus(end, resize(m, m.get(size), before.width));
  const display = m.register(RBP, before.width);
  const old = m.register(RBP, width);
  // The operand size says how much of the stack pointer the frame pointer takes: with a 16-bit stack and a 32-bit operand
  // all of ESP, of which SP alone has moved; with a 16-bit operand BP alone, whatever the stack.
  const high = m.and(m.register(RSP, 32), m.constant(0xffff_0000, 32));
  const pointer = width > before.width ? m.or(high, m.zeroExtend(frame, 32)) : frame;
  // Each word is stored before the next is loaded: the display may overlap the frame.
  m.when(m.constant(1, 8), () => m.store("ss", frame, old));
  for (let i = 1; i < ENTER_LEVELS - 1; i++) {
    const offset = constant(i * bytes);
    m.when(m.lessUnsigned(constant(i), level), () =>
      m.store("ss", m.minus(frame, offset), m.load("ss", m.minus(display, offset), width)),
    );
  }
  m.when(m.notEqual(level, constant(0)), () => m.store("ss", end, resize(m, pointer, width)));
  m.probe("ss", bottom, width); // the manual has the final stack pointer checked as if it were written
  m.setRegister(RSP, bottom);
  m.setRegister(RBP, resize(m, pointer, width));
}

function leave(m: Meaning): void {
  const frame = m.register(RBP, m.stackPointer().width);
  const saved = m.load("ss", frame, m.operandSize);
  m.setRegister(RSP, m.plus(frame, m.constant(m.operandSize / 8, frame.width)));
  m.setRegister(RBP, saved);
}

export const stack = [
  { op: Mnemonic.Push, forms: general, access: ["r"], flags: none, does: (m, src) => m.push(m.get(src)) },
  {
    op: Mnemonic.Pop,
    forms: general,
    access: ["w"],
    flags: none,
    // A memory operand based on RSP is addressed with RSP already incremented: the decoder has added the
    // operand's size to its displacement.
    does: (m, dst) => m.set(dst, m.pop(dst.width as Width)),
  },
  { op: Mnemonic.Pusha, access: [], only: "legacy", flags: none, does: pushAll(16) },
  { op: Mnemonic.Pushad, access: [], only: "legacy", flags: none, does: pushAll(32) },
  { op: Mnemonic.Popa, access: [], only: "legacy", flags: none, does: popAll(16) },
  { op: Mnemonic.Popad, access: [], only: "legacy", flags: none, does: popAll(32) },
  { op: Mnemonic.Pushf, access: [], flags: none, does: pushFlags(16) },
  { op: Mnemonic.Pushfd, access: [], flags: none, does: pushFlags(32) },
  { op: Mnemonic.Pushfq, access: [], flags: none, does: pushFlags(64) },
  { op: Mnemonic.Popf, access: [], ends: true, flags: POPF_FLAGS, does: popFlags(16) },
  { op: Mnemonic.Popfd, access: [], ends: true, flags: `${POPF_FLAGS} AC ID`, does: popFlags(32) },
  { op: Mnemonic.Popfq, access: [], ends: true, flags: `${POPF_FLAGS} AC ID`, does: popFlags(64) },
  { op: Mnemonic.Enter, access: ["r", "r"], flags: none, does: enter },
  { op: Mnemonic.Leave, access: [], flags: none, does: leave },
] satisfies readonly Definition[] as readonly Definition[];
