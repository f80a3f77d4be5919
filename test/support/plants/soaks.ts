// Bugs that long tests plant in the kernel for themselves: one line changed, which a program, a story or a verdict must show. They are listed
// here, where a quick test sees that each line is there still.
import type { Telling } from "../told.js";
import type { Change } from "./compiled.js";

/** spread.soak.ts: which program sees it. */
export const spreadBugs: readonly (Change & {
  readonly program: "pthreads" | "away" | "heir" | "migrate";
})[] = [
  {
    name: "munmap is not told to the shadows",
    program: "away",
    file: "process/memory-map.ts",
    from: "if (machines !== 0) tellForget(currentLwp().process, machines, start, end);",
    to: "",
  },
  {
    name: "mprotect is not told to the shadows",
    program: "away",
    file: "process/memory-map.ts",
    from: "if (machines !== 0) tellForget(currentLwp().process, machines, start, covered);",
    to: "",
  },
  {
    name: "unmapped memory keeps its bytes",
    program: "away",
    file: "process/memory-map.ts",
    from: "if (map.memory) memoryClear(map, start, end);",
    to: "",
  },
  {
    name: "mremap leaves the bytes behind",
    program: "away",
    file: "process/private-memory.ts",
    from: "let index = objectNextPage(object, from / PAGE, end);",
    to: "let index = end;",
  },
  {
    name: "a thread's end is not told to who joins it",
    program: "pthreads",
    file: "process/process.ts",
    from: "  lwpExitWork(lwp);\n  lwpLeave(lwp);",
    to: "  if (lwp.machine === 0) lwpExitWork(lwp);\n  lwpLeave(lwp);",
  },
  {
    name: "private futexes are each machine's own",
    program: "pthreads",
    file: "process/futex.ts",
    from: "return map.memory;",
    to: "return 0;",
  },
  {
    name: "a thread starts with its parent's FS base",
    program: "pthreads",
    file: "process/thread-calls.ts",
    from: "if (flags & CLONE_SETTLS) setStartFsBase(child, tls);",
    to: "",
  },
  {
    name: "signals for threads elsewhere stay with their proxies",
    program: "away",
    file: "process/proxy.ts",
    from: "else if (lwp.moves === 0) passSignals(lwp);\n    if",
    to: "\n    if",
  },
  {
    name: "signals are passed to where a thread has just left",
    program: "migrate",
    file: "process/proxy.ts",
    from: "return lwp.moves === 0 && lwpWanted(lwp);",
    to: "lwp.moves = 0;\n  return lwpWanted(lwp);",
  },
  {
    name: "a thread that moves leaves behind the signals that wait for it",
    program: "migrate",
    file: "process/migration.ts",
    from: "  queueRead(lwp.queue(), at + BELONGINGS_BYTES, usize(itemDataBytes(item)) - BELONGINGS_BYTES);\n",
    to: "",
  },
  {
    name: "signals that went along with a thread that moves stay with its proxy",
    program: "migrate",
    file: "process/migration.ts",
    from: "  lwp.signals = fresh; // what comes from now on is another one\n",
    to: "  lwp.signals = fresh;\n  queueAppend(changetype<SignalQueue>(fresh), changetype<SignalQueue>(gone));\n",
  },
  {
    name: "a thread that moves has no alternate stack any more",
    program: "migrate",
    file: "process/migration.ts",
    from: "lwp.alternateBytes = load<u64>(at, 16);",
    to: "",
  },
  {
    name: "a thread that moves has another mask of cores",
    program: "migrate",
    file: "process/migration.ts",
    from: "lwp.affinity = load<u64>(at);",
    to: "",
  },
  {
    name: "a thread that moves finds a clean x87",
    program: "migrate",
    file: "process/lwp.ts",
    from: "memory.copy(startFx(lwp), threadCurrent().fpu, FXSAVE_BYTES);",
    to: "",
  },
  {
    name: "exit_group is not told to other machines",
    program: "away",
    file: "process/proxy.ts",
    from: "  lwp.toldEnd = 1;\n  const letter",
    to: "  lwp.toldEnd = 1;\n  if (lwp.machine !== 0) return;\n  const letter",
  },
  {
    name: "the locks of a lost machine stay locked",
    program: "heir",
    file: "coherence/shared-futex.ts",
    from: "(lost & bit(machine)) != 0;",
    to: "(lost & bit(machine)) != 0 && lost === 0;",
  },
];

/** chaos.soak.ts: by which faults; and which promise is found broken. */
export const chaosBugs: readonly (Change & { readonly faults: string; readonly promise: string })[] = [
  {
    name: "a home that comes back finds its former life's record, and does not take the file over",
    faults: "pause",
    promise: "R0 count",
    file: "coherence/object-list.ts",
    from: "(changetype<SharedObject>(at).id != id || changetype<SharedObject>(at).dead != 0)",
    to: "changetype<SharedObject>(at).id != id",
  },
  {
    name: "a machine out of reach goes on as long as it likes",
    faults: "cut",
    promise: "R0 lease",
    file: "syslink/lease.ts",
    from: "near >= membershipMajority(membership) && isMember(membership)",
    to: "isMember(membership)",
  },
];

/** told.soak.ts: the kind of telling that shows it. */
export const toldBugs: readonly (Change & { readonly kind: Telling["kind"] })[] = [
  {
    name: "who makes a name does not commit",
    kind: "name",
    file: "coherence/named.ts",
    from: "if (how != OPEN_THERE) commitOutput();",
    to: "",
  },
  {
    name: "who locks does not commit",
    kind: "lock",
    file: "coherence/lock-calls.ts",
    from: "  commitOutput(); // others see that it is locked\n",
    to: "",
  },
  {
    name: "who has removed a name is not asked",
    kind: "unlink",
    file: "coherence/homes.ts",
    from: " || object.unlinked != 0",
    to: "",
  },
  {
    name: "who removes a name does not commit",
    kind: "unlink",
    file: "coherence/named.ts",
    from: "  commitOutput(); // others see that it is gone\n  result = ask(",
    to: "  result = ask(",
  },
  {
    name: "who sets a size does not commit",
    kind: "size",
    file: "coherence/pager.ts",
    from: "  commitOutput(); // others see the size\n  const locked",
    to: "  const locked",
  },
  {
    name: "a question to a home that moves is not asked again",
    kind: "size",
    file: "coherence/questions.ts",
    from: "client.machine == machine && moves",
    to: "false",
  },
  {
    name: "who writes behind the end does not commit",
    kind: "append",
    file: "coherence/pager.ts",
    from: "if (!known || object.size < end) commitOutput();",
    to: "",
  },
  {
    name: "who wakes does not commit",
    kind: "wake",
    file: "coherence/shared-futex.ts",
    from: "commitOutput(); // who is woken",
    to: "// who is woken",
  },
];

/** adders.soak.ts: which of its kinds shows it. A home that goes on waiting for a dead machine's confirmation (refusals.ts) is not among them: these runs do not show it. */
export const adderBugs: readonly (Change & { readonly kind: number })[] = [
  {
    name: "what a dead machine had borrowed is not lost",
    kind: 3,
    file: "coherence/loans.ts",
    from: "else if (partLost(part, machine)) page.broken = 1;",
    to: "else partLost(part, machine);",
  },
];

/** stall.soak.ts */
export const stallBug: Change = {
  name: "a fault forgets that another thread has written",
  file: "coherence/page-grants.ts",
  from: "old & (DIRTY | WRITABLE) : 0",
  to: "old & WRITABLE : 0",
};

const loosePart: Change = {
  name: "a part covers what is lent to another",
  file: "coherence/parts.ts",
  from: "return (chunks & ~part.mine) == 0;",
  to: "return true;",
};
/** litmus.soak.ts: clusters at random; words in chunks that are lent. */
export const litmusBugs: readonly Change[] = [
  {
    name: "a writer does not wait for acknowledgements",
    file: "coherence/engine.ts",
    from: "return (page.acksExpected & ~(page.acksReceived | engine.dead)) == 0;",
    to: "return (page.acksExpected & page.acksReceived) == page.acksReceived;",
  },
  {
    name: "of several readers one is invalidated",
    file: "coherence/directory.ts",
    from: "  invalidated = page.sharers & ~from;\n",
    to: "  invalidated = page.sharers & ~from;\n  invalidated &= -invalidated;\n",
  },
  loosePart,
];
export const lentBugs: readonly Change[] = [
  loosePart,
  {
    name: "what comes back is thrown away",
    file: "coherence/parts.ts",
    from: "  scatter(part.frame, chunks, at);\n  part.mine |= chunks;\n  ended",
    to: "  part.mine |= chunks;\n  ended",
  },
];

/** as-linux.soak.ts: an address space at random sees it. */
export const spaceBugs: readonly Change[] = [
  {
    name: "who was shown a mapping is not told that it is gone",
    file: "process/memory-map.ts",
    from: "  if (machines !== 0) tellForget(currentLwp().process, machines, start, end);\n",
    to: "",
  },
  {
    name: "what was unmapped is there again",
    file: "process/memory-map.ts",
    from: "  if (map.memory) memoryClear(map, start, end);\n",
    to: "",
  },
];

/** as-linux.soak.ts, what files hold: all changes at once, where each alone leaves another that does its work. */
export const turnBugs: readonly (Pick<Change, "name" | "file"> & {
  readonly changes: readonly (readonly [from: string, to: string])[];
})[] = [
  {
    name: "what lay behind a file's end comes back when it grows",
    file: "coherence/pager.ts",
    changes: [
      [
        "memory.fill(frame + from, 0, usize(PAGE) - from);",
        "if (from == 0) memory.fill(frame, 0, usize(PAGE));",
      ],
      ["  if (clean) return 0;", "  if (clean || size > 0) return 0;"],
    ],
  },
  {
    name: "a file that became shorter leaves its pages where they are",
    file: "coherence/pager.ts",
    changes: [
      ["    call(client, ASK_RECALL);\n    clear(client, size, 0);\n", "    clear(client, size, 0);\n"],
    ],
  },
];

export const soakBugs: readonly Change[] = [
  ...spreadBugs,
  ...chaosBugs,
  ...toldBugs,
  ...adderBugs,
  stallBug,
  ...litmusBugs,
  ...lentBugs,
  ...spaceBugs,
  ...turnBugs.flatMap(({ name, file, changes }) => changes.map(([from, to]) => ({ name, file, from, to }))),
];
