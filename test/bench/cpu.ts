// How fast the interpreter runs guest code: instructions retired per second of host time, one core, one thread.

import { Cpu } from "../support/cpu.js";

export interface CpuBenchmark {
  readonly name: string;
  readonly instructions: number;
  readonly seconds: number;
}

/** Each runs until its HLT. */
const programs: Readonly<Record<string, string>> = {
  "tight loop": `
    mov rcx, 50000000
    again: add rax, rcx
    dec rcx
    jnz again
    hlt`,
  "sieve of Eratosthenes": `
    mov r9d, 12
    round: mov rdi, 0x200000
    mov ecx, 0x80000
    mov eax, 0x01010101
    rep stosd
    mov esi, 2
    outer: cmp byte ptr [rsi+0x200000], 0
    je next
    lea rdi, [rsi+rsi]
    inner: cmp rdi, 0x200000
    jae next
    mov byte ptr [rdi+0x200000], 0
    add rdi, rsi
    jmp inner
    next: inc esi
    cmp esi, 1500
    jb outer
    dec r9d
    jnz round
    hlt`,
  "calls and stack": `
    mov ecx, 3000000
    again: call function
    dec ecx
    jnz again
    hlt
    function: push rbp
    mov rbp, rsp
    push rbx
    mov rbx, [rbp+16]
    add rax, rbx
    pop rbx
    pop rbp
    ret`,
  "rep movsb of 64 KiB": `
    mov edx, 1000
    again: mov esi, 0x200000
    mov edi, 0x400000
    mov ecx, 0x10000
    rep movsb
    dec edx
    jnz again
    hlt`,
  "xadd with lock": `
    mov ecx, 5000000
    mov ebx, 0x200000
    again: mov eax, 1
    lock xadd [rbx], rax
    dec ecx
    jnz again
    hlt`,
};

export async function cpuBenchmarks(): Promise<CpuBenchmark[]> {
  const results: CpuBenchmark[] = [];
  for (const [name, program] of Object.entries(programs)) {
    const cpu = await Cpu.create();
    cpu.start(program);
    cpu.run(100_000); // lets the host's compiler see the handlers
    const start = process.cpuUsage();
    const instructions = cpu.run(0x7fff_ffff);
    // Processor time, so that other work on the host does not show.
    const { user, system } = process.cpuUsage(start);
    results.push({ name, instructions, seconds: (user + system) / 1e6 });
  }
  return results;
}
