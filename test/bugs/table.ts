// Planted bugs: each row breaks one thing, and the check named in it must see that. A check that sees nothing wrong in
// what is intact and something wrong in what is broken is worth its run time; this table keeps them so.
//
// Further planted bugs stand beside what they break:
// - test/kernel/coherence-bugs.test.ts: the rows of the page protocol, for searches and random runs;
// - test/silicon/silicon.test.ts;
// - test/litmus/machine.test.ts: litmus tests with a thread's steps in the wrong order; test/litmus/planted.test.ts: the
//   store buffer, MFENCE and LOCK; test/cluster/history.test.ts: operations that are not atomic;
// - test/emulator/machine.test.ts: additions without LOCK are lost.
import { Mnemonic } from "../../emulator/cpu/decode.js";
import {
  type Check,
  clusterCounts,
  ENTRY,
  exchangeLocks,
  faultsArePrecise,
  ipisArrive,
  linksDeliverOnce,
  lockCounts,
  pagesAreCoherent,
  pagesAreMarked,
  stiHasShadow,
  tlbIsHonest,
} from "./checks.js";
import { meaning, type Plant, saying } from "./plant.js";

export interface Bug {
  readonly name: string;
  /** What is broken, and how. */
  readonly broken: string;
  readonly check: Check;
  readonly plant: Plant;
}

const ACCESSED = 0x20n;
const DIRTY = 0x40n;
let posted = 0;

export const bugs: readonly Bug[] = [
  {
    name: "a LOCK that is not atomic",
    broken: "locked forms are generated as if LOCK were not there",
    check: lockCounts,
    plant: { form: (form) => ({ ...form, lock: "no" }) },
  },
  {
    name: "XCHG without its implied LOCK",
    broken: "locked forms are generated as if LOCK were not there",
    check: exchangeLocks,
    plant: { form: (form) => ({ ...form, lock: "no" }) },
  },
  {
    name: "a stale TLB entry dropped too early",
    broken: "every store by MOV flushes the TLB",
    check: tlbIsHonest,
    plant: {
      form: meaning(Mnemonic.Mov, (does) => (m, ...operands) => {
        does(m, ...operands);
        if (operands[0]?.kind === "memory") m.assist("flushTlb");
      }),
    },
  },
  {
    name: "a TLB entry kept after INVLPG",
    broken: "INVLPG does nothing",
    check: tlbIsHonest,
    plant: { form: meaning(Mnemonic.Invlpg, () => () => {}) },
  },
  {
    name: "the accessed flag not set",
    broken: "after each instruction the flag is clear again",
    check: pagesAreMarked,
    plant: { after: (cpu) => cpu.write(ENTRY, 8, cpu.read(ENTRY, 8) & ~ACCESSED) },
  },
  {
    name: "the dirty flag not set",
    broken: "after each instruction the flag is clear again",
    check: pagesAreMarked,
    plant: { after: (cpu) => cpu.write(ENTRY, 8, cpu.read(ENTRY, 8) & ~DIRTY) },
  },
  {
    name: "a fault that leaves a register half changed",
    broken: "ADD changes AX before it reads its memory operand",
    check: faultsArePrecise,
    plant: {
      form: meaning(Mnemonic.Add, (does) => (m, ...operands) => {
        m.when(m.constant(1, 8), () => m.setRegister(0, m.constant(0xdead, 16)));
        does(m, ...operands);
      }),
    },
  },
  {
    name: "an interrupt taken in the shadow of STI",
    broken: "STI casts no shadow",
    check: stiHasShadow,
    plant: {
      form: meaning(
        Mnemonic.Sti,
        saying("shadow", () => {}),
      ),
    },
  },
  {
    name: "a lost interrupt between cores",
    broken: "the mailbox drops every fourth vector",
    check: ipisArrive,
    plant: { arrives: () => ++posted % 4 !== 0 },
  },
  {
    name: "an interrupt between cores that is handled twice",
    broken: "IRR keeps its bit when the vector is taken",
    check: ipisArrive,
    plant: { keepsRequests: true },
  },
  {
    name: "a duplicated datagram that is taken",
    broken: "the link's sequence goes back by one when its last datagram comes again",
    check: linksDeliverOnce,
    plant: { takesTwice: true },
  },
  {
    name: "an acknowledgement that leaves before the shoot-down",
    broken: "a sharer answers an invalidation at once",
    check: pagesAreCoherent,
    plant: {
      rows: [
        ["SHARED", "INVALIDATE", "SHARED_LEAVING", "REVOKE", "ANSWER"],
        ["SHARED_LEAVING", "GONE_CLEAN", "INVALID", "WAKE"],
      ],
    },
  },
  {
    name: "a page that leaves before the shoot-down",
    broken: "a core neither interrupts the others nor waits for them, and answers for the page at once",
    check: clusterCounts,
    plant: {
      kernel: {
        file: "kernel/memory/paging.ts",
        changes: [
          ["    apicSend(other.apicId, SHOOT_DOWN_VECTOR);\n", ""],
          ['import { apicSend, SHOOT_DOWN_VECTOR } from "../machine/apic";\n', ""],
          ["while (atomic.load<u32>(remaining) !== 0) {", "while (false) {"],
        ],
      },
    },
  },
];
