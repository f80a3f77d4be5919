// Calls, jumps and returns that leave for another page, or for where a register says, look first at the block that came last from there
// (emulator/cpu/interpreter.ts, enter()). That it is still the right one must be found out each time.

import { expect, test } from "vitest";
import { ACTIVE } from "../../emulator/cpu/layout.js";
import { CODE, Cpu, PAGE_TABLES, STACK_TOP } from "../support/cpu.js";

const [FIRST, SECOND] = [0x5_1000, 0x5_2000];
const TABLE = 0x7_0000;

async function started(program: string): Promise<Cpu> {
  const cpu = await Cpu.create();
  cpu.start(program);
  for (let page = 0; page < 512; page++)
    cpu.view.setBigUint64(TABLE + 8 * page, BigInt(page * 4096) | 7n, true);
  cpu.view.setBigUint64(PAGE_TABLES + 0x2000, BigInt(TABLE) | 7n, true);
  cpu.state().setRegister("cr3", PAGE_TABLES);
  return cpu;
}
const ebx = (cpu: Cpu) => Number(cpu.state().register("rbx"));

test.each(["call 0x51000", "call rdx"])("%s: two pages take turns at its target's address", async (call) => {
  const cpu = await started(`
    mov edx, ${FIRST}
    mov ecx, 6
    again: ${call}
    lea ebx, [rbx*8 + rax]
    xor dword ptr [${TABLE + 8 * (FIRST / 4096)}], ${FIRST ^ SECOND}
    invlpg [${FIRST}]
    dec ecx
    jnz again
    hlt`);
  cpu.place(FIRST, "mov eax, 1\nret");
  cpu.place(SECOND, "mov eax, 2\nret");
  cpu.run(200);
  expect(ebx(cpu).toString(8)).toBe("121212");
});

test("the function on the other page is changed between two calls", async () => {
  const cpu = await started(`
    mov ecx, 5
    again: call ${FIRST}
    lea ebx, [rbx*8 + rax]
    inc byte ptr [${FIRST + 1}]
    dec ecx
    jnz again
    hlt`);
  cpu.place(FIRST, "mov eax, 1\nret");
  cpu.run(200);
  expect(ebx(cpu).toString(8)).toBe("12345");
});

test("a jump by a register goes elsewhere each time", async () => {
  const cpu = await started(`
    mov edx, ${FIRST}
    mov ecx, 5
    again: jmp rdx
    back: xor edx, ${FIRST ^ SECOND}
    dec ecx
    jnz again
    hlt`);
  const back = CODE + 12; // behind two MOVs of 5 bytes and the jump
  cpu.place(FIRST, `lea ebx, [rbx*8 + 1]\nmov eax, ${back}\njmp rax`);
  cpu.place(SECOND, `lea ebx, [rbx*8 + 2]\nmov eax, ${back}\njmp rax`);
  cpu.run(200);
  expect(ebx(cpu).toString(8)).toBe("12121");
});

test("returns lead elsewhere than behind the latest call", async () => {
  const cpu = await started(`
    mov ecx, 4
    again: mov edx, 1
    call ${FIRST}
    lea ebx, [rbx*8 + 1]
    mov edx, 4
    call ${FIRST}
    lea ebx, [rbx*8 + 2]
    push ${SECOND}
    ret
    hlt`);
  // By how much a return passes over the instruction behind the call, which has 7 bytes.
  cpu.place(FIRST, "cmp edx, ecx\njne as_it_was\nadd qword ptr [rsp], 7\nas_it_was: ret");
  cpu.place(SECOND, `dec ecx\njz out\nmov eax, ${CODE + 5}\njmp rax\nout: hlt`);
  cpu.run(500);
  // Of the first round the second call's, of the last one the first call's is passed over.
  expect(ebx(cpu).toString(8)).toBe("112122");
});

test("calls that lie deeper than anybody keeps in mind", async () => {
  const cpu = await started(`mov ecx, 50\ncall ${FIRST}\nhlt`);
  cpu.place(FIRST, `dec ecx\njz out\nmov edx, ${SECOND}\ncall rdx\nout: inc ebx\nret`);
  cpu.place(SECOND, `call ${FIRST}\ninc ebx\nret`);
  cpu.run(2000);
  expect(ebx(cpu)).toBe(50 + 49);
});

test("blocks are forgotten between a call and its return: nothing is kept where other blocks are now", async () => {
  const cpu = await started(`nop\nnop\nnop\nnop\ncall ${FIRST}\nbehind: hlt`);
  const behind = CODE + 4 + 5;
  const stores = [1, 2, 3, 4, 5, 6].map((n) => `mov dword ptr [rbp + ${4 * n}], ${n}`);
  cpu.place(FIRST, `${stores.join("\n")}\nret`);
  const DATA = 0x6_0000;
  const s = cpu.state();
  s.set({ rbp: DATA, rsp: STACK_TOP });
  expect(cpu.run(5)).toBe(5);
  expect(s.rip).toBe(BigInt(FIRST));
  cpu.engine.setBreakpoints(new Set([0x1234n])); // they are forgotten
  cpu.engine.setBreakpoints(new Set());
  const run = (rip: number) => {
    s.activity = ACTIVE;
    s.set({ rip });
    cpu.run(100);
  };
  // What was behind the call is known when the function, which has the call's place now, returns.
  run(behind);
  run(FIRST);
  expect(s.rip).toBe(BigInt(behind + 1));
  s.set({ rsp: STACK_TOP - 8 });
  run(FIRST);
  expect([1, 2, 3, 4, 5, 6].map((n) => cpu.read(DATA + 4 * n, 4))).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
});
