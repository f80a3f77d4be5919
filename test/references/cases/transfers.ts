// Far transfers, gates, task switches, loads of segment registers, and the questions about selectors.
import { Draw } from "../draw.js";
import type { Mode } from "../layout.js";
import type { Case } from "../rom.js";
import { at, descriptor, gateTo, inLdt, quad, selectors } from "../tables.js";

const LANDING = at.landing;
/** `int 0x40`, in any width. */
const landing: [number, number][] = [
  [LANDING, 0x40cd_40cd],
  [LANDING + 4, 0x40cd_40cd],
];
const POINTER = at.data + 0x100;
/** QEMU and Bochs have #NP for SS of a return that is not present, where both manuals have #SS. */
const PRESENT = 0x8000n << 32n;

type Words = [number, number][];

function segment(d: Draw, mode: Mode, type: number, dpl: number): bigint {
  const base = d.rarely(6) ? d.pick([0x10, 0x1000, at.data, 0xffff_f000]) : 0;
  const limit = d.rarely(5) ? d.pick([0x5fff, 0x1_0805, 0x1_07ff, 0x1_0801, 0xffff, 0x1_3fff]) : 0xf_ffff;
  const flags = limit === 0xf_ffff ? 0xc0 : 0x40;
  const wide =
    mode === "long" && (type & 8) !== 0
      ? d.pick([0xa0, 0xa0, 0xa0, 0xc0, 0x80, 0xe0])
      : d.rarely(5)
        ? flags & 0x80
        : flags;
  return descriptor(
    (d.rarely(10) ? 0 : 0x80) | (dpl << 5) | type,
    base,
    limit,
    limit === 0xf_ffff ? wide : wide & 0x60,
  );
}

const level = (d: Draw) => d.pick([0, 0, 0, 3, 3, 3, 1, 2]);

function selector(d: Draw, slot: number): number {
  return d.pick([
    slot | level(d),
    slot | level(d),
    slot | level(d),
    slot,
    slot | 3,
    slot,
    d.below(4),
    0xb0 | d.below(4),
    0xae,
    slot | 4,
    inLdt.code,
    inLdt.data | d.below(4),
    0x44,
  ]);
}

function otherTask(d: Draw, words: Words): void {
  const field = (offset: number, value: number) => words.push([at.otherTss + offset, value]);
  const any = [
    selectors.data,
    selectors.userData,
    selectors.code,
    selectors.userCode,
    selectors.a,
    selectors.a | 3,
    0,
    3,
    0x5b,
    0xb0,
    inLdt.data,
    inLdt.userData,
    selectors.task,
  ];
  if (d.rarely(3)) {
    field(0x4c, selectors.userCode);
    field(0x50, selectors.userData);
    for (const s of [0x48, 0x54, 0x58, 0x5c]) field(s, selectors.userData);
    field(0x38, at.stack3);
  }
  for (const s of [0x48, 0x50, 0x54, 0x58, 0x5c]) if (d.rarely(8)) field(s, d.pick(any));
  if (d.rarely(6))
    field(0x60, d.pick([0, 1, selectors.data, selectors.ldt | 4, selectors.b, 0xb0, selectors.ldt | 3]));
  if (d.rarely(8)) field(0x1c, d.pick([at.directory, at.directory | 0x18, at.directory | 0x1]));
  if (d.rarely(6))
    field(0x24, d.pick([0, 0x4002, 0x3202, 0x102, 0x1_0002, 0x2_0002, 0xffff_ffff & ~0x102, 0x40002]));
  if (d.rarely(8)) field(0x20, d.pick([0xffff_fff0, 0x2_0000, 0x1f_ffff]));
  if (d.rarely(6)) field(0x38, d.pick([at.stack3, 2, 0, 0x40_0000]));
  if (d.rarely(8)) field(0x64, (0x80 << 16) | 1);
}

const farOperand = (digit: number, bits: number, pointer = POINTER) =>
  bits === 64
    ? `db 0xff, ${(digit << 3) | 4}, 0x25\ndd ${pointer}`
    : bits === 16
      ? `db 0x67, 0xff, ${(digit << 3) | 5}\ndd ${pointer}`
      : `db 0xff, ${(digit << 3) | 5}\ndd ${pointer}`;

export function transfers(mode: Mode, seed: number, count: number): Case[] {
  const d = new Draw(seed);
  const long = mode === "long";
  const operations = [
    "jmp",
    "call",
    "jmp",
    "call",
    "retf",
    "iret",
    "int",
    "load",
    "question",
    "system",
    ...(long ? [] : ["nested", "nested"]),
  ];
  return Array.from({ length: count }, (): Case => {
    const ring = d.pick([0, 0, 3] as const);
    const bits = long ? d.pick([64, 64, 32] as const) : d.pick([32, 32, 32, 16] as const);
    const words: Words = [...landing];
    const operation = d.pick(operations);
    const registers: Record<string, number> = {};
    if (d.rarely(4)) registers.flags = d.pick([0x3002, 0x202, 0x1002, 0x3202, 0x3ad7]);
    const put = (slot: number, value: bigint) => words.push(...quad(at.gdt + slot, value));
    const codeOrData = () =>
      segment(
        d,
        mode,
        d.pick([0x1a, 0x1b, 0x18, 0x1c, 0x1e, 0x1f, 0x1b, 0x1b, 0x10 | d.below(16)]),
        level(d),
      );
    /** What a return takes from the stack: its CS, and the descriptor that its SS may name. */
    const returnCode = () =>
      d.pick([
        selector(d, selectors.a),
        selectors.userCode,
        selectors.code,
        selectors.userCode32,
        selectors.a | 3,
      ]);
    const putReturnStack = () =>
      put(
        selectors.b,
        PRESENT | segment(d, mode, d.pick([0x12, 0x13, 0x13, 0x17, 0x10 | d.below(16)]), level(d)),
      );
    const gates = long
      ? [0x0c, 0x0c, 0x0c, 0x0c, 0x0e, 4, 5, 9, 2, 0, 0xb]
      : [0x0c, 0x0c, 0x0c, 4, 5, 5, 9, 0xb, 1, 3, 2, 0, 0xe];
    const gateTarget = d.pick([
      selectors.a,
      selectors.a | 3,
      selectors.a,
      selectors.code,
      selectors.userCode,
      0,
      3,
      0xb0,
      inLdt.code,
      selectors.otherTask,
      selectors.task16,
      selectors.task,
      selectors.b,
      selectors.otherTask,
    ]);
    const system = (types: readonly number[]): bigint => {
      const type = d.pick(types) | (d.rarely(8) ? 0 : 0x80) | (level(d) << 5);
      if ([4, 5, 6, 7, 12, 14, 15].includes(type & 15))
        return gateTo(
          type,
          gateTarget,
          d.rarely(10) ? d.pick([0x2_0000, 0xffff_fff0, at.code + 0x7ff]) : LANDING,
          d.pick([0, 0, 0, 1, 2, 31, 0x20]),
        );
      return descriptor(
        type,
        d.pick([at.otherTss, at.otherTss, at.tss16]),
        d.pick([0x67, 0x67, 0x1ff, 0x66, 0x2b, 0x2a, 0x20]),
        d.pick([0, 0, 0x80]),
      );
    };
    put(selectors.a, codeOrData());
    const offset = d.rarely(12) ? d.pick([0xffff_fff0, 0x2_0000, 0x40_0000, LANDING - 1]) : LANDING;
    if (!long) otherTask(d, words);
    const opsize = d.rarely(6) ? "db 0x66;; " : "";
    const wide = long && bits === 64 && d.rarely(3) ? "db 0x48;; " : "";
    const name = `${operation}${opsize === "" ? "" : " other size"}`;
    let code = "nop";
    const sized = (n: number) =>
      wide !== ""
        ? `mov rax, ${n};; push rax`
        : bits === 64
          ? `sub rsp, ${opsize ? 2 : 4};; mov ${opsize ? "word" : "dword"} ptr [rsp], ${opsize ? n & 0xffff : n | 0}`
          : (bits === 16) !== (opsize !== "")
            ? `${bits === 16 ? "" : "db 0x66;; "}db 0x68\ndw ${n & 0xffff}`
            : `${bits === 16 ? "db 0x66;; " : ""}db 0x68\ndd ${n >>> 0}`;
    switch (operation) {
      case "jmp":
      case "call": {
        const direct = d.pick([true, false, false]);
        put(selectors.b, system(gates));
        if (long)
          words.push(
            ...quad(
              at.gdt + selectors.b + 8,
              d.rarely(12) ? 0x1f00n << 32n : d.rarely(10) ? 0x8000n : d.rarely(12) ? 0xffff_8000n : 0n,
            ),
          );
        const to = selector(
          d,
          direct
            ? selectors.a
            : d.pick([
                selectors.b,
                selectors.b,
                selectors.b,
                selectors.otherTask,
                selectors.task16,
                selectors.task,
              ]),
        );
        words.push([POINTER, offset], [POINTER + 4, to]);
        if (opsize !== "" || bits === 16) words.push([POINTER, (offset & 0xffff) | (to << 16)]);
        if (wide !== "") words.push([POINTER + 4, 0], [POINTER + 8, to]);
        if (bits === 16 && d.rarely(2)) words.push([POINTER, offset], [POINTER + 4, to]);
        code = `${opsize}${wide}${farOperand(operation === "jmp" ? 5 : 3, bits)}`;
        break;
      }
      case "retf": {
        const immediate = d.rarely(3);
        const ss = d.pick([selector(d, selectors.a), selectors.userData, selectors.data, selectors.userData]);
        const cs = returnCode();
        putReturnStack();
        const usedSs = d.pick([ss, selectors.b | 3, selectors.b | d.below(4)]);
        const bytes = immediate ? [0xca, d.pick([0, 4, 8, 0xfc]), d.pick([0, 0, 0, 0x10, 0x80])] : [0xcb];
        const parameters = `${sized(0x77)};; `.repeat(bytes[1] === 8 ? 2 : bytes[1] === 4 ? 1 : 0);
        code = `${sized(usedSs)};; ${sized(d.rarely(6) ? 0x1_5678 : at.stack3)};; ${parameters}${sized(cs)};; ${sized(offset)};; ${opsize}${wide}db ${bytes.join(", ")}`;
        break;
      }
      case "iret": {
        const ss = d.pick([
          selector(d, selectors.b),
          selectors.userData,
          selectors.data,
          selectors.userData,
          selectors.b | 3,
        ]);
        const cs = returnCode();
        putReturnStack();
        const flags = d.pick([
          2,
          2,
          0x202,
          0x3202,
          0x1_0002,
          0x4002,
          0x24_0002,
          0x38_3ad7,
          ...(long ? [0x2_0002] : [0x2_0002, 0x2_3202]),
        ]);
        const flags16 = opsize !== "" ? flags & 0xffff : flags;
        code = `${flags & 0x2_0000 ? [at.data >>> 4, 0x44, 0x33, at.data >>> 4].map(sized).join(";; ") : "nop"};; ${sized(ss)};; ${sized(d.rarely(6) ? 0x1_5678 : at.stack3)};; ${sized(flags16)};; ${sized(flags & 0x2_0000 ? LANDING >>> 4 : cs)};; ${sized(flags & 0x2_0000 ? 0 : offset)};; ${opsize}${wide}db 0xcf`;
        break;
      }
      case "nested": {
        // IRET with NT goes back by the link
        words.push([
          at.tss,
          d.pick([
            selectors.otherTask,
            selectors.otherTask,
            selectors.otherTask,
            selectors.task16,
            selectors.task,
            selectors.b,
            selectors.data,
            0,
            0xb0,
            selectors.otherTask | 4,
            selectors.otherTask | 3,
          ]),
        ]);
        put(selectors.b, system([9, 0xb, 0xb, 3, 1, 2, 5]));
        const busy = descriptor(
          (d.rarely(8) ? 0x0b : d.rarely(6) ? 0x89 : 0x8b) | (level(d) << 5),
          at.otherTss,
          d.pick([0x67, 0x67, 0x1ff, 0x66]),
        );
        put(selectors.otherTask, busy);
        put(selectors.task16, descriptor(d.rarely(8) ? 0x81 : 0x83, at.tss16, d.pick([0x2b, 0x2b, 0x2a])));
        registers.flags = 0x4002 | d.pick([0, 0x200, 0x3000]);
        code = `${opsize}db 0xcf`;
        break;
      }
      case "int": {
        const types = long
          ? [0xe, 0xe, 0xf, 0xf, 0xc, 5, 6, 7, 9, 0]
          : [0xe, 0xe, 0xf, 6, 7, 5, 5, 0xc, 4, 0];
        const gateSize = long ? 16 : 8;
        words.push(...quad(at.idt + gateSize * 0x41, system(types)));
        if (long) words.push(...quad(at.idt + gateSize * 0x41 + 8, 0n));
        if (long && d.rarely(3))
          words.push([at.idt + gateSize * 0x41 + 4, (LANDING & 0xffff_0000) | 0xee00 | d.below(8)]);
        if (d.rarely(4)) words.push([at.tss + 4, d.pick([2, 0x40_0000, 0x8000_0000, 0x5ff1, at.stack0])]);
        if (!long && d.rarely(4))
          words.push([
            at.tss + 8,
            d.pick([0, 3, selectors.userData, selectors.code, selectors.a, 0xb0, selectors.data16]),
          ]);
        code = d.rarely(8)
          ? "db 0xcc"
          : d.rarely(8) && bits !== 64
            ? "mov al, 0x7f;; inc al;; db 0xce"
            : d.rarely(8)
              ? "db 0xf1"
              : "db 0xcd, 0x41";
        break;
      }
      case "load": {
        const s = d.pick(["ds", "es", "fs", "gs", "ss"]);
        const value = s === "ss" && ring === 0 && !d.rarely(4) ? selectors.a : selector(d, selectors.a);
        if (d.rarely(2)) code = `mov eax, ${value};; mov ${s}, ax;; nop;; nop`;
        else if (s === "fs" || s === "gs" || bits !== 64)
          code = `${sized(value)};; ${opsize}${wide}db ${s === "fs" ? "0x0f, 0xa1" : s === "gs" ? "0x0f, 0xa9" : s === "ds" ? "0x1f" : s === "es" ? "0x07" : "0x17"};; nop`;
        else {
          words.push([POINTER, offset], [POINTER + 4, value]);
          code = `${wide}db 0x0f, ${s === "ss" ? 0xb2 : 0xb4}, 0x04, 0x25\ndd ${POINTER}`;
        }
        break;
      }
      case "question": {
        put(selectors.b, d.rarely(2) ? system(Array.from({ length: 16 }, (_, i) => i)) : codeOrData());
        if (long) words.push(...quad(at.gdt + selectors.b + 8, d.rarely(6) ? 0x1f00n << 32n : 0n));
        const q = d.pick([
          "lar ecx, eax",
          "lsl ecx, eax",
          "verr ax",
          "verw ax",
          "lar cx, ax",
          "lsl cx, ax",
          "arpl ax, cx",
        ]);
        code = `mov eax, ${selector(d, d.pick([selectors.a, selectors.b]))};; ${bits === 64 && q.startsWith("arpl") ? "nop" : q}`;
        break;
      }
      default: {
        put(selectors.b, system(long ? [2, 2, 9, 9, 9, 0xb, 1, 3, 0, 0xc] : [2, 2, 9, 9, 0xb, 1, 3, 0, 0xc]));
        if (long) words.push(...quad(at.gdt + selectors.b + 8, d.rarely(10) ? 0x1f00n << 32n : 0n));
        code = `mov eax, ${selector(d, selectors.b)};; ${d.pick(["ltr ax", "lldt ax"])}`;
      }
    }
    return { name: `${name}|${bits}`, code, bits, ring, words, registers };
  });
}
