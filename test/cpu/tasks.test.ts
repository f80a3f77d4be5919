// Hardware task switches: JMP, CALL and IRET between 32- and 16-bit tasks, interrupts and exceptions through task gates,
// busy bits, the link, NT, CR0.TS, the T flag, and the checks in their order. Intel SDM vol. 3A, chapter 8.

import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ATTENTION_INTERRUPT, HALTED } from "../../emulator/cpu/layout.js";
import { Cpu, GDT, IDT, STACK_TOP, selectors, TSS } from "../support/cpu.js";

let cpu: Cpu;
beforeAll(async () => {
  cpu = await Cpu.create();
});

const OLD = selectors.tss;
const NEW = 0x48;
const GATE = 0x50;
const LDT = 0x58;
const USER_CODE = 0x63;
const SPARE = 0x68;
const NEW_TSS = 0xb000;
const LDT_BASE = 0xc000;
const TSS3 = 0xd000;
const CODE2 = 0x2_0000;
const STACK2 = 0x7_0000;
const USER_DATA = selectors.user;
const NT = 0x4000;
const BUSY = 2;
const [EIP, EFLAGS, EAX, ECX, ESP] = [0x20, 0x24, 0x28, 0x2c, 0x38];
const [ES, CS, SS, DS, LDT_FIELD, TRAP] = [0x48, 0x4c, 0x50, 0x54, 0x60, 0x64];

const descriptor = (type: number, base: number, limit: number, flags = 0): bigint =>
  BigInt.asUintN(64, BigInt(limit & 0xffff) | (BigInt(base & 0xff_ffff) << 16n)) |
  (BigInt(type) << 40n) |
  (BigInt(flags | ((limit >>> 16) & 15)) << 48n) |
  (BigInt(base >>> 24) << 56n);
const PRESENT = 0x80;
const DPL3 = 0x60;
const typeOf = (selector: number) => Number(cpu.read(GDT + (selector & ~7) + 5, 1)) & 0xf;
const setDescriptor = (selector: number, value: bigint) => cpu.write(GDT + (selector & ~7), 8, value);
const gate = (vector: number, type: number, selector: number, offset = 0) =>
  cpu.write(
    IDT + 8 * vector,
    8,
    descriptor(type, 0, 0) |
      (BigInt(selector) << 16n) |
      BigInt(offset & 0xffff) |
      (BigInt(offset >>> 16) << 48n),
  );
const field = (offset: number, value: number, bytes: 2 | 4 = 4) => cpu.write(NEW_TSS + offset, bytes, value);
/** Far pointers to the two tasks, for JMP and CALL through memory. */
const POINTER = 0x3_0000;
const farJump = (selector: number) =>
  `mov word ptr [${POINTER + 4}], ${selector}\ndb 0xff, 0x2d\ndd ${POINTER}`;
const farCall = (selector: number) =>
  `mov word ptr [${POINTER + 4}], ${selector}\ndb 0xff, 0x1d\ndd ${POINTER}`;

/** Two 32-bit tasks: one runs `program`, the other starts at CODE2 with `second`. */
function tasks(program: string, second: string): void {
  cpu.start(program, { bits: 32 });
  cpu.place(CODE2, second, 32);
  const s = cpu.state();
  s.gdtr = { base: BigInt(GDT), limit: 0x6f };
  setDescriptor(OLD, descriptor(PRESENT | 11, TSS, 0x67));
  setDescriptor(NEW, descriptor(PRESENT | 9, NEW_TSS, 0x67));
  setDescriptor(GATE, descriptor(PRESENT | 5, 0, 0) | (BigInt(NEW) << 16n));
  setDescriptor(LDT, descriptor(PRESENT | 2, LDT_BASE, 0xf));
  setDescriptor(USER_CODE, descriptor(PRESENT | DPL3 | 0x1b, 0, 0xf_ffff, 0xc0));
  setDescriptor(SPARE, 0n);
  cpu.write(LDT_BASE + 8, 8, descriptor(PRESENT | 0x13, 0, 0xf_ffff, 0xc0)); // data
  for (let i = 0; i < 0x68; i += 4) {
    field(i, 0);
    cpu.write(TSS + i, 4, 0);
  }
  field(EIP, CODE2);
  field(EFLAGS, 2);
  field(ESP, STACK2);
  field(CS, selectors.code32);
  for (const at of [ES, SS, DS]) field(at, selectors.data);
  s.set({ rax: 0x1111, rcx: 0x2222, rdx: 0, rbx: 0, rbp: 0, rsi: 0, rdi: 0 });
}
const run = (budget = 100) => {
  cpu.run(budget);
  return cpu.state();
};
const old = (offset: number, bytes: 2 | 4 = 4) => Number(cpu.read(TSS + offset, bytes));
/** Exception handlers that stop with the vector in EDI. */
function catching(...vectors: number[]): void {
  for (const vector of vectors) {
    const at = 0x4_0000 + 16 * vector;
    cpu.place(at, `mov edi, ${vector}\nhlt`, 32);
    gate(vector, PRESENT | 14, selectors.code32, at);
  }
}
const word = (at: number) => Number(cpu.read(at, 4));

beforeEach(() => cpu.engine.reset(0));

describe("between tasks", () => {
  test("JMP saves one task and loads the other", () => {
    tasks(`mov ebx, 7\n${farJump(NEW)}\nhere: nop`, "hlt");
    field(EAX, 0xaaaa_5555);
    const s = run();
    expect([s.activity, s.rip, s.register("rax"), s.register("rsp")]).toEqual([
      HALTED,
      BigInt(CODE2 + 1),
      0xaaaa_5555n,
      BigInt(STACK2),
    ]);
    expect([s.segment("tr").selector, s.segment("tr").base, s.segment("tr").attributes & 0xf00]).toEqual([
      NEW,
      BigInt(NEW_TSS),
      0xb00,
    ]);
    expect([typeOf(OLD), typeOf(NEW)]).toEqual([9, 11]);
    expect([old(EAX), old(ECX), old(ESP), old(EFLAGS), old(0, 2)]).toEqual([0x1111, 0x2222, STACK_TOP, 2, 0]);
    expect([old(CS, 2), old(SS, 2), old(DS, 2)]).toEqual([selectors.code32, selectors.data, selectors.data]);
    expect(old(EIP)).toBe(0x1_0000 + 5 + 9 + 6);
    expect(s.register("cr0") & 8n).toBe(8n); // TS
    expect(s.rflags & BigInt(NT)).toBe(0n);
  });
  test("CALL links the tasks and sets NT, IRET goes back, and the next CALL goes on behind the IRET", () => {
    tasks(`${farCall(NEW)}\ninc ecx\n${farCall(GATE)}\nhlt`, "inc edx\niretd\nadd edx, 16\niretd");
    const s = run();
    expect([s.activity, s.register("rcx"), s.segment("tr").selector]).toEqual([HALTED, 0x2223n, OLD]);
    expect([typeOf(OLD), typeOf(NEW)]).toEqual([11, 9]);
    expect(Number(cpu.read(NEW_TSS, 2))).toBe(OLD);
    expect(word(NEW_TSS + 0x30)).toBe(17); // EDX
    expect(word(NEW_TSS + EFLAGS) & NT).toBe(0);
    expect(Number(s.rflags) & NT).toBe(0);
  });
  // SDM vol. 3A, 8.3: TR is loaded with the selector, as it was given
  test("TR and the link keep the selector's RPL", () => {
    tasks(farCall(NEW | 3), `str eax\n${farJump(NEW | 2)}`);
    setDescriptor(NEW, descriptor(PRESENT | DPL3 | 9, NEW_TSS, 0x67));
    catching(13);
    const s = run();
    expect([s.register("rax"), s.register("rdi")]).toEqual([BigInt(NEW | 3), 13n]); // and busy: #GP
    expect(s.segment("tr").selector).toBe(NEW | 3);
  });
  test("a nested task is busy, as is its caller", () => {
    tasks(farCall(NEW), "hlt");
    const s = run();
    expect([typeOf(OLD), typeOf(NEW)]).toEqual([11, 11]);
    expect(Number(s.rflags) & NT).toBe(NT);
    expect(old(EFLAGS) & NT).toBe(0);
  });
  test("the LDT of the new task, and a data segment in it", () => {
    tasks(farJump(NEW), "mov eax, fs\nhlt");
    field(LDT_FIELD, LDT);
    field(0x58, 0xc);
    const s = run();
    expect([s.register("rax"), s.segment("ldtr").base]).toEqual([0xcn, BigInt(LDT_BASE)]);
  });
  test("a task of ring 3 and of virtual-8086 mode", () => {
    tasks(farJump(NEW), "nop\nhlt");
    catching(13);
    field(CS, USER_CODE);
    for (const at of [ES, SS, DS]) field(at, USER_DATA);
    field(4, STACK2 - 0x1000);
    field(8, selectors.data);
    expect(run().register("rdi")).toBe(13n); // HLT
    expect(word(STACK2 - 0x1000 - 16)).toBe(USER_CODE);

    tasks(farJump(NEW), "nop\nhlt");
    catching(13);
    field(EFLAGS, 0x2_0002);
    field(CS, CODE2 >>> 4);
    field(SS, 0x1234);
    field(EIP, 0);
    field(ESP, 0x100);
    field(4, STACK2 - 0x1000);
    field(8, selectors.data);
    expect(run().register("rdi")).toBe(13n);
    const top = STACK2 - 0x1000;
    expect([word(top - 36), word(top - 32), word(top - 20)]).toEqual([1, CODE2 >>> 4, 0x1234]);
  });
  test("16-bit tasks keep words, and have neither FS and GS nor page tables", () => {
    tasks(`${farCall(NEW)}\nhlt`, "inc ax\ninc dx\niretd");
    setDescriptor(NEW, descriptor(PRESENT | 1, NEW_TSS, 0x2b));
    const words = [0, 0, 0, 0, 0, 0, 0, 0xff00, 2, 0x1234, 0, 9, 0, 0x6000, 0, 0, 0];
    for (const [i, w] of words.entries()) cpu.write(NEW_TSS + 2 * i, 2, w);
    const segments = [selectors.data, selectors.code32, selectors.data, selectors.data, 0];
    for (const [i, w] of segments.entries()) cpu.write(NEW_TSS + 0x22 + 2 * i, 2, w);
    cpu.place(0xff00, "add eax, 1\ninc edx\niretd", 32);
    const s = run();
    expect([s.activity, s.register("rax"), s.segment("tr").selector, typeOf(NEW)]).toEqual([
      HALTED,
      0x1111n,
      OLD,
      1,
    ]);
    const saved = (offset: number) => Number(cpu.read(NEW_TSS + offset, 2));
    expect([saved(0x12), saved(0x16), saved(0x0e)]).toEqual([0x1235, 10, 0xff05]);
    expect(saved(0x10) & NT).toBe(0);
    expect(saved(0)).toBe(OLD);
  });
  // SDM vol. 3B, 18.3.1.5: after the switch, before the new task's first instruction, DR6.BT
  test("the T flag is a debug trap before the first instruction; local breakpoints do not follow", () => {
    tasks(farJump(NEW), "hlt");
    cpu.place(0x1_0000, `mov eax, 0x703\nmov dr7, eax\n${farJump(NEW)}`, 32);
    catching(1);
    field(TRAP, 1, 2);
    const s = run();
    expect([s.register("rdi"), s.dr(6) & 0xe00fn, s.dr(7)]).toEqual([1n, 0x8000n, 0x602n]);
    expect(word(STACK2 - 12)).toBe(CODE2);
  });
  // SDM vol. 3A, 8.3: selectors first, descriptors after; Bochs and QEMU agree
  test("a stack segment that cannot be had is #TS, delivered on the stack segment that was there", () => {
    tasks(farJump(NEW), "hlt");
    catching(8, 10);
    field(SS, 0xb0); // beyond the GDT
    const s = run();
    expect([s.register("rdi"), word(STACK2 - 16)]).toEqual([10n, 0xb0]);
  });
  test("no trap by the T flag where the new task cannot be entered: its fault alone", () => {
    tasks(farJump(NEW), "hlt");
    catching(1, 10);
    field(TRAP, 1, 2);
    field(DS, SPARE); // not a segment
    const s = run();
    expect([s.register("rdi"), s.dr(6) & 0xe00fn]).toEqual([10n, 0n]);
  });
});

describe("task gates in the IDT", () => {
  test("an interrupt is a nested task, whose IRET comes back", () => {
    tasks("again: inc ebx\ncmp ecx, 0x2222\njz again\nhlt", `mov dword ptr [${TSS + ECX}], 5\niretd`);
    gate(0x40, PRESENT | 5, NEW);
    cpu.state().rflags = 0x202;
    cpu.run(10);
    cpu.host.interrupts.push(0x40);
    cpu.attend(0, ATTENTION_INTERRUPT);
    const s = run();
    expect([s.activity, s.register("rcx"), Number(s.rflags) & (NT | 0x200)]).toEqual([HALTED, 5n, 0x200]);
  });
  test("an exception's error code is on the new task's stack", () => {
    tasks(`mov eax, ${SPARE}\nmov ds, ax`, "pop eax\nhlt");
    setDescriptor(SPARE, descriptor(0x13, 0, 0xffff));
    gate(11, PRESENT | 5, NEW);
    const s = run();
    expect([s.rip, s.register("rax"), s.register("rsp")]).toEqual([
      BigInt(CODE2 + 2),
      BigInt(SPARE),
      BigInt(STACK2),
    ]);
    expect(old(EIP)).toBe(0x1_0005); // the faulting instruction, with RF
    expect(old(EFLAGS) & 0x1_0000).toBe(0x1_0000);
  });
  test("INT n obeys the gate's DPL and saves the next instruction", () => {
    tasks("int 0x40\nhlt", "hlt");
    gate(0x40, PRESENT | 5, NEW);
    run();
    expect(old(EIP)).toBe(0x1_0002);
    expect(old(EFLAGS) & 0x1_0000).toBe(0);
  });
});

// SDM vol. 3A, 8.3
describe("what is refused", () => {
  /** Vector and error code of the fault that `program` raises in the old task, at the given length of its prologue. */
  const refused = (program: string, spoil: () => void, vector: number, error: number) => {
    tasks(program, "hlt");
    catching(8, 10, 11, 12, 13);
    spoil();
    const s = run();
    expect([s.register("rdi"), word(Number(s.register("rsp")))]).toEqual([BigInt(vector), error]);
    return s;
  };
  const inOld = (program: string, spoil: () => void, vector: number, error: number) => {
    const s = refused(program, spoil, vector, error);
    expect([s.segment("tr").selector, old(EIP)]).toEqual([OLD, 0]);
    expect(s.register("rsp")).toBe(BigInt(STACK_TOP - 16));
  };
  const inNew = (spoil: () => void, vector: number, error: number, program = farJump(NEW)) => {
    const s = refused(program, spoil, vector, error);
    expect([s.segment("tr").selector, s.register("rsp"), word(Number(s.register("rsp")) + 4)]).toEqual([
      NEW,
      BigInt(STACK2 - 16),
      CODE2,
    ]);
  };

  test("before the switch: the old task faults", () => {
    inOld(farJump(NEW), () => setDescriptor(NEW, descriptor(9, NEW_TSS, 0x67)), 11, NEW);
    inOld(farJump(NEW), () => setDescriptor(NEW, descriptor(PRESENT | 9 | BUSY, NEW_TSS, 0x67)), 13, NEW);
    inOld(farJump(NEW), () => setDescriptor(NEW, descriptor(PRESENT | 9, NEW_TSS, 0x66)), 10, NEW);
    inOld(farJump(NEW), () => setDescriptor(NEW, descriptor(PRESENT | 1, NEW_TSS, 0x2a)), 10, NEW);
    inOld(farCall(GATE), () => setDescriptor(GATE, descriptor(5, 0, 0) | (BigInt(NEW) << 16n)), 11, GATE);
    inOld(
      farCall(GATE),
      () => setDescriptor(GATE, descriptor(PRESENT | 5, 0, 0) | (BigInt(SPARE) << 16n)),
      13,
      SPARE,
    );
    inOld(farCall(GATE), () => setDescriptor(GATE, descriptor(PRESENT | 5, 0, 0) | (0x4cn << 16n)), 13, 0x4c);
    inOld("int 0x40", () => gate(0x40, PRESENT | 5, OLD), 13, OLD); // INT n: EXT is clear
    inOld(farCall(OLD), () => {}, 13, OLD);
    inOld(farCall(NEW | 3), () => {}, 13, NEW);
  });
  test("IRET with NT needs a busy TSS behind the link", () => {
    const iret = `mov eax, ${NT | 2}\npush eax\npopfd\niretd`;
    inOld(iret, () => cpu.write(TSS, 2, NEW), 10, NEW);
    inOld(iret, () => cpu.write(TSS, 2, SPARE), 10, SPARE);
    inOld(iret, () => cpu.write(TSS, 2, NEW | 4), 10, NEW | 4);
  });
  test("after it: the new task does, at its first instruction", () => {
    inNew(() => field(DS, selectors.tss), 10, selectors.tss);
    inNew(() => field(DS, 0x200), 10, 0x200);
    inNew(
      () => {
        setDescriptor(SPARE, descriptor(0x13, 0, 0xffff));
        field(DS, SPARE);
      },
      11,
      SPARE,
    );
    inNew(
      () => {
        setDescriptor(SPARE, descriptor(PRESENT | 0x1b, 0, 0xffff, 0x40));
        field(CS, SPARE);
        field(EIP, CODE2);
      },
      13,
      0,
    );
  });
  // SDM vol. 3A, 6.15, #TS: "must be a task called using a task gate", as the stack may be what is invalid
  test("what is wrong with its LDT, code or stack is seen by a handler that is a task", () => {
    const byTask = (spoil: () => void, vector: number, error: number) => {
      tasks(farJump(NEW), "hlt");
      setDescriptor(GATE, descriptor(PRESENT | 9, TSS3, 0x67)); // no gate here, but a third task
      for (let i = 0; i < 0x68; i += 4) cpu.write(TSS3 + i, 4, cpu.read(NEW_TSS + i, 4));
      cpu.write(TSS3 + EIP, 4, 0x4_8000);
      cpu.write(TSS3 + ESP, 4, STACK2 - 0x800);
      cpu.place(0x4_8000, "hlt", 32);
      gate(vector, PRESENT | 5, GATE);
      spoil();
      const s = run();
      expect([s.rip, s.segment("tr").selector, word(Number(s.register("rsp")))]).toEqual([
        0x4_8001n,
        GATE,
        error,
      ]);
      expect([Number(cpu.read(TSS3, 2)), word(NEW_TSS + EIP)]).toEqual([NEW, CODE2]);
    };
    byTask(() => field(LDT_FIELD, SPARE), 10, SPARE);
    byTask(() => field(LDT_FIELD, 0xc), 10, 0xc);
    byTask(
      () => {
        setDescriptor(LDT, descriptor(2, LDT_BASE, 0xf));
        field(LDT_FIELD, LDT);
      },
      10,
      LDT,
    );
    byTask(() => field(CS, selectors.data), 10, selectors.data);
    byTask(() => field(CS, USER_CODE & ~3), 10, USER_CODE & ~3);
    byTask(() => field(CS, 0), 10, 0);
    byTask(() => field(SS, 0), 10, 0);
    byTask(() => field(SS, selectors.code32), 10, selectors.code32);
    byTask(() => field(SS, USER_DATA), 10, USER_DATA & ~3);
    byTask(
      () => {
        setDescriptor(SPARE, descriptor(0x13, 0, 0xffff));
        field(SS, SPARE);
      },
      12,
      SPARE,
    );
    byTask(
      () => {
        setDescriptor(SPARE, descriptor(0x1b, 0, 0xffff));
        field(CS, SPARE);
      },
      11,
      SPARE,
    );
  });
  // SDM vol. 3A, 6.13: selector, EXT, IDT and TI
  test("an external event says so in the error code", () => {
    tasks("sti\nagain: jmp again", "hlt");
    catching(10, 11, 13);
    gate(0x40, PRESENT | 5, NEW);
    field(DS, 0x200);
    cpu.run(10);
    cpu.host.interrupts.push(0x40);
    cpu.attend(0, ATTENTION_INTERRUPT);
    const s = run();
    expect([s.register("rdi"), word(Number(s.register("rsp")))]).toEqual([10n, 0x201]);
  });
});
