// The checks that planted bugs must fail: each runs something small with a plant (or with none) and says what was
// wrong, or undefined when all was as the manual has it.
import { SharedMailbox } from "../../emulator/board/mailbox.js";
import { assemble, flat, Machine } from "../../emulator/index.js";
import { seeded } from "../support/cluster.js";
import { World, wander } from "../support/coherence.js";
import { CODE, Cpu, PAGE_TABLES } from "../support/cpu.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { rowAddress, states } from "../support/page-table.js";
import { explore, Violation } from "../support/search.js";
import { encode, Pair } from "../support/syslink.js";
import { runOnThreads } from "../support/threads.js";
import { type Plant, planted, plantedKernel } from "./plant.js";

export type Check = (plant: Plant) => Promise<string | undefined>;

const HANDLER = 0x3_0000;
const TABLE = 0x7_0000;
/** The page that checks of paging use, 4 KiB, through the entry at ENTRY. */
export const PAGE = 0x5_1000;
export const ENTRY = TABLE + 8 * (PAGE >> 12);
const CELL = 0x20_0000;

const differs = (what: string, found: unknown, wanted: unknown) =>
  found === wanted ? undefined : `${what} ${found}, wanted ${wanted}`;

/** Maps 4 KiB pages over the first 2 MiB. */
function smallPages(cpu: Cpu): void {
  for (let i = 0; i < 512; i++) cpu.write(TABLE + 8 * i, 8, i * 4096 + 7);
  cpu.write(PAGE_TABLES + 0x2000, 8, TABLE + 7);
  cpu.state().setRegister("cr3", PAGE_TABLES);
}

/** A program on one core that faults into `hlt`; with a plant it goes instruction by instruction. */
async function play(plant: Plant, program: string, prepare: (cpu: Cpu) => void): Promise<Cpu> {
  const cpu = await Cpu.create({ modules: await planted(plant) });
  cpu.start(program);
  smallPages(cpu);
  for (const vector of [13, 14, 0x40]) cpu.gate(vector, HANDLER);
  cpu.place(HANDLER, "hlt");
  prepare(cpu);
  for (let done = 0; done < 1000 && cpu.engine.runnable(0); done++) {
    cpu.engine.run(0, 1);
    plant.after?.(cpu);
  }
  return cpu;
}

interface Race {
  readonly rounds: number;
  /** Of each round; rbx is the cell, rcx counts down. */
  readonly body: string;
  /** After the rounds; r15 is 0 on one thread and 1 on the other. */
  readonly after?: string;
  readonly wrong: (cpu: Cpu) => string | undefined;
}

/** Two threads at one cell; each waits until the other has come, so that they run at one time. */
async function race({ form }: Plant, { rounds, body, after = "", wrong }: Race): Promise<string | undefined> {
  const program = `
    mov byte ptr [rbx+r15+128], 1
    xor r15d, 1
    wait: pause
    cmp byte ptr [rbx+r15+128], 0
    je wait
    again: ${body}
    dec ecx
    jnz again
    ${after}
    hlt`;
  // Threads of a busy host may hardly overlap: what is broken gets a few chances to show.
  for (let attempt = form === undefined ? 1 : 8; attempt > 0; attempt--) {
    const cpu = await Cpu.create({ cores: 2, live: true });
    for (const core of [0, 1]) {
      const at = CODE + core * 0x1000;
      cpu.place(at, program);
      cpu.setUp({ core, at, rsp: 0x8_0000 + core * 0x1000 });
      cpu.state(core).set({ rcx: rounds, rdx: 0, r15: core, rbx: CELL });
    }
    await runOnThreads(cpu.memory, cpu.engine.plan, cpu.modules, 2, form?.toString());
    const found = wrong(cpu);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Intel SDM vol. 3A, 9.1.2: LOCK XADD of two threads loses nothing. */
export const lockCounts: Check = (plant) =>
  race(plant, {
    rounds: 400_000,
    body: "mov eax, 1\nlock xadd [rbx], rax",
    wrong: (cpu) => differs("counted", cpu.read(CELL, 8), 800_000n),
  });

/** Intel SDM vol. 3A, 9.1.2.1: XCHG with memory is locked without a prefix: what one puts in, one takes out. */
export const exchangeLocks: Check = (plant) =>
  race(plant, {
    rounds: 400_000,
    body: "mov eax, ecx\nadd rdx, rax\nxchg [rbx], rax\nsub rdx, rax",
    after: "mov [rbx+r15*8+64], rdx",
    wrong: (cpu) => {
      const lost = cpu.read(CELL + 64, 8) + cpu.read(CELL + 72, 8) - cpu.read(CELL, 8);
      return differs("put in and never taken out:", BigInt.asUintN(64, lost), 0n);
    },
  });

/**
 * Intel SDM vol. 3A, 4.10: a translation may be cached, and INVLPG ends that. A kernel that forgets a shoot-down must
 * meet the old translation, so the TLB keeps it until then. rax, rbx, rcx: before, after the entry changed, after
 * INVLPG.
 */
export const tlbIsHonest: Check = async (plant) => {
  const cpu = await play(
    plant,
    `mov rax, [${PAGE}]
     mov qword ptr [${ENTRY}], ${PAGE + 0x1000 + 7}
     mov rbx, [${PAGE}]
     invlpg [${PAGE}]
     mov rcx, [${PAGE}]
     hlt`,
    (c) => {
      c.write(PAGE, 8, 1);
      c.write(PAGE + 0x1000, 8, 2);
    },
  );
  const { rax, rbx, rcx } = cpu.state().general();
  return differs("before, stale and fresh:", `${rax} ${rbx} ${rcx}`, "1 1 2");
};

/** Intel SDM vol. 3A, 4.8: a read sets the accessed flag, a write the dirty flag as well. */
export const pagesAreMarked: Check = async (plant) => {
  const cpu = await play(
    plant,
    `mov rax, [${PAGE}]
     mov rbx, [${ENTRY}]
     mov qword ptr [${PAGE}], 1
     mov rcx, [${ENTRY}]
     hlt`,
    () => {},
  );
  const { rbx, rcx } = cpu.state().general();
  return differs("flags after a read and a write:", `${rbx! & 0x60n} ${rcx! & 0x60n}`, "32 96");
};

/** Intel SDM vol. 3A, 6.5: a fault leaves everything as it was before the instruction. */
export const faultsArePrecise: Check = async (plant) => {
  const cpu = await play(plant, `mov rax, 0x1122334455667788\nadd rax, [${PAGE - 4}]\nhlt`, (c) =>
    c.write(ENTRY, 8, 0),
  );
  const { rax, rip } = cpu.state().general();
  return differs(
    "at the handler rax is",
    `${rip.toString(16)} ${rax!.toString(16)}`,
    "30001 1122334455667788",
  );
};

/** Intel SDM vol. 2B, STI: interrupts stay off for one more instruction. */
export const stiHasShadow: Check = async (plant) => {
  const cpu = await play(plant, "nop\nsti\nnop\nnop\nhlt", (c) => {
    c.host.interrupts.push(0x40);
    c.attend(0, 1);
  });
  const returns = cpu.read(Number(cpu.state().register("rsp")), 8);
  return differs("the interrupt returns to", returns.toString(16), (CODE + 3).toString(16));
};

/** Intel SDM vol. 3A, 11.6.1: each interrupt that a core sends to another, and waits for, is handled once. */
export const ipisArrive: Check = async ({ arrives, keepsRequests }) => {
  const intact = SharedMailbox.prototype.post;
  const take = SharedMailbox.prototype.take;
  if (keepsRequests === true) SharedMailbox.prototype.take = () => {};
  if (arrives !== undefined)
    SharedMailbox.prototype.post = function (vector, level) {
      if (arrives(vector)) intact.call(this, vector, level);
    };
  try {
    const machine = await Machine.create({ cores: 2, memory: 4 << 20 });
    const vector = 0x40;
    machine.start(
      `  mov rbp, 0xfee00000
         mov dword ptr [rbp+0xf0], 0x1ff
         test edi, edi
         jnz other
         mov ecx, 10
    next: cmp dword ptr [${CELL}], 0        ; core 1 listens
         je next
         mov dword ptr [rbp+0x310], 0x1000000
         mov dword ptr [rbp+0x300], ${0x4000 | vector}
         inc ebx
    wait: pause
         cmp [${CELL + 4}], ebx
         jne wait
         loop next
         hlt
   other: lidt [0x9000]
         sti
         mov dword ptr [${CELL}], 1
   sleep: hlt
         jmp sleep`,
    );
    const gate = 0x8000 + 16 * vector;
    const handler = 0x3_0000;
    machine.write(0x9000, 2, 0xfff);
    machine.write(0x9002, 8, 0x8000);
    machine.write(
      gate,
      8,
      BigInt(handler & 0xffff) | (BigInt(flat.selector.code64) << 16n) | (0x3_8e00n << 32n),
    );
    machine.load(
      handler,
      assemble(`inc dword ptr [${CELL + 4}]\nmov dword ptr [rbp+0xb0], 0\niretq`, {
        bits: 64,
        origin: handler,
      }),
    );
    machine.run({ limit: 100_000 });
    return differs("interrupts handled:", machine.read(CELL + 4, 4), 10n);
  } finally {
    SharedMailbox.prototype.post = intact;
    SharedMailbox.prototype.take = take;
  }
};

/** Of a datagram's header (kernel/syslink/link.ts). */
const HEADER_SEQUENCE = 24;
const HEADER_FLAGS = 36;
const SEQUENCED = 1;

/** Where a link keeps the sequence that it expects next: the word that counts what it takes, not what comes. */
function expectedAt(kernel: KernelWasm): number {
  let places = Array.from({ length: 100 }, (_, i) => 4 * i);
  for (const repeat of [0, 1000]) {
    const pair = new Pair(kernel, 1, { repeat });
    pair.run(100_000);
    // Two datagrams for each acknowledgement, so that what was sent back counts otherwise too.
    for (let count = 1; count <= 20; count++) {
      pair.send(0, encode(1n, count, 16));
      pair.run(count % 2 === 1 ? 100 : 10_000);
      places = places.filter((at) => kernel.view.getUint32(pair.links[1] + at, true) === count);
    }
  }
  if (places.length !== 1)
    throw new Error(`the expected sequence is at ${places.join() || "none"} of a link`);
  return places[0]!;
}

/** The kernel's link layer without its check for datagrams that came before. */
class ForgetfulKernel extends KernelWasm {
  forgot = 0;
  readonly #expectedAt: number;

  constructor() {
    super();
    this.#expectedAt = expectedAt(new KernelWasm());
  }

  override call(name: string): ReturnType<KernelWasm["call"]> {
    const call = super.call(name);
    if (name !== "linkInput") return call;
    return (...args) => {
      const [link, at] = args as [number, number];
      const sequence = this.view.getUint32(at + HEADER_SEQUENCE, true);
      const sequenced = (this.view.getUint16(at + HEADER_FLAGS, true) & SEQUENCED) !== 0;
      const expected = this.view.getUint32(link + this.#expectedAt, true);
      if (sequenced && sequence + 1 === expected) {
        this.view.setUint32(link + this.#expectedAt, sequence, true);
        this.forgot++;
      }
      return call(...args);
    };
  }
}

/** Promise 34: what a wire delivers twice arrives once. */
export const linksDeliverOnce: Check = async ({ takesTwice }) => {
  const kernel = takesTwice === true ? new ForgetfulKernel() : new KernelWasm();
  const pair = new Pair(kernel, 1, { repeat: 500 });
  pair.run(100_000);
  for (let i = 0; i < 50; i++) {
    pair.send(0, encode(1n, i, 16));
    pair.run(500);
  }
  if (kernel instanceof ForgetfulKernel && kernel.forgot === 0) throw new Error("nothing was taken twice");
  const numbers = pair.received[1]!.map((bytes) => new DataView(bytes.buffer).getUint32(8, true));
  return differs("messages", numbers.join(), Array.from({ length: 50 }, (_, i) => i).join());
};

/** Promise 40: one writer or many readers, and every reader sees the newest value. */
export const pagesAreCoherent: Check = async ({ rows = [] }) => {
  const kernel = new KernelWasm();
  for (const [state, event, next, ...actions] of rows) {
    const at = rowAddress(kernel, state, event);
    kernel.bytes[at + 2] = states.indexOf(next);
    for (let i = 0; i < 4; i++) kernel.bytes[at + 3 + i] = actions[i] ? kernel.constant(actions[i]) : 0;
  }
  const world = new World(kernel, { machines: 3, home: 1, programs: [["r"], ["w"], ["rw"]] });
  const fresh = world.save();
  try {
    for (let seed = 1; seed <= 200; seed++) {
      world.load(fresh);
      wander(world, seed, 0);
    }
    world.load(fresh);
    explore(world, 0, 20_000);
  } catch (error) {
    if (error instanceof Violation) return error.message;
    if (error instanceof Error && error.message.startsWith("more than")) return undefined;
    throw error;
  }
  return undefined;
};

/** Promises 40 and 61, in the running kernel: what all cores of all machines add to one word is in it at the end. */
export const clusterCounts: Check = async (plant) => {
  const kernel = await plantedKernel(plant);
  for (const seed of kernel === undefined ? [1] : [1, 2, 3]) {
    const options = { machines: 3, cores: 2, seed, ...(kernel === undefined ? {} : { kernel }) };
    const { report } = await seeded("counter", [3000], options);
    if (!report.ok) return `seed ${seed}: ${report.result}`;
  }
  return undefined;
};
