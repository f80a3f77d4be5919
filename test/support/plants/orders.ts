// Bugs that change the order in which machines see one another's stores: litmus tests between machines tell, and histories of a
// queue.
import { recorded, specifications } from "../history.js";
import { check } from "../linearizability.js";
import { beyondOrder, inOrder, LitmusCluster } from "../litmus-cluster.js";
import { type Bug, type Judged, plantsOf } from "./on-clusters.js";

/** Of a group's seeds, so many for one of the plant's. */
const SEEDS_EACH = 4;

type Group = (typeof inOrder)[number]["what"];

const litmus =
  (what: Group): Judged =>
  async (seed, kernel) => {
    const group = inOrder.find((each) => each.what === what)!;
    const cluster = await LitmusCluster.create({ ...group, ...(kernel && { kernel }) });
    const { seen } = cluster.runAll(1 + (seed - 1) * SEEDS_EACH, SEEDS_EACH);
    return beyondOrder(seen)[0];
  };

/** test/cluster/history.test.ts */
const queue: Judged = async (seed, kernel) => {
  const shape = { machines: 2 + (seed % 3), cores: 1, seed, operations: 20, far: true };
  const { run, history } = await recorded("queue", { ...shape, ...(kernel && { kernel }) });
  if (!run.report.ok) return "the program did not end well";
  const verdict = check(history, specifications.queue);
  return verdict.linearizable ? undefined : `not linearizable at ${JSON.stringify(verdict.stuck)}`;
};

export const orderJudges = {
  sizes: litmus("operands of several sizes"),
  exchanges: litmus("exchanges"),
  oneHome: litmus("pages of one home"),
  copiesOfThree: litmus("copies, three threads"),
  copiesOfSizes: litmus("copies, operands of several sizes"),
  copiesExchanged: litmus("copies, exchanges"),
  copies: litmus("copies, two threads"),
  queue,
};

/** The acknowledgements of the machines that live count as here. */
const early = {
  file: "coherence/engine.ts",
  from: "return (page.acksExpected & ~(page.acksReceived | engine.dead)) == 0;",
  to: "return (page.acksExpected & page.acksReceived) == page.acksReceived;",
};

const bugs: readonly Bug<keyof typeof orderJudges>[] = [
  { name: "a writer does not wait for acknowledgements: two threads", judge: "copies", ...early },
  { name: "a writer does not wait for acknowledgements: exchanges", judge: "copiesExchanged", ...early },
  { name: "a writer does not wait for acknowledgements: several sizes", judge: "copiesOfSizes", ...early },
  { name: "a writer does not wait for acknowledgements: three threads", judge: "copiesOfThree", ...early },
  {
    name: "of several readers one is invalidated",
    judge: "copiesOfThree",
    file: "coherence/directory.ts",
    from: "  invalidated = page.sharers & ~from;\n",
    to: "  invalidated = page.sharers & ~from;\n  invalidated &= -invalidated;\n",
  },
  {
    name: "XCHG for another machine gives back what it stores",
    judge: "exchanges",
    file: "coherence/operation.ts",
    from: "      return atomic.xchg<T>(at, operand);",
    to: "      store<T>(at, operand);\n      return operand;",
  },
  {
    name: "words are equal when their lower halves are",
    judge: "sizes",
    file: "coherence/difference.ts",
    from: "    if (load<u64>(now + at) == load<u64>(before + at)) {",
    to: "    if (load<u32>(now + at) == load<u32>(before + at)) {",
  },
  {
    name: "of a run of words that changed the last one is not sent",
    judge: "oneHome",
    file: "coherence/difference.ts",
    from: "    memory.copy(into + out + HEADER, now + from, end - from);",
    to: "    memory.copy(into + out + HEADER, now + from, end - from - WORD);",
  },
  {
    name: "words of a queue are equal when their lower halves are",
    judge: "queue",
    file: "coherence/difference.ts",
    from: "    if (load<u64>(now + at) == load<u64>(before + at)) {",
    to: "    if (load<u32>(now + at) == load<u32>(before + at)) {",
  },
  {
    name: "CMPXCHG for another machine stores whatever it finds",
    judge: "queue",
    file: "coherence/operation.ts",
    from: "      return atomic.cmpxchg<T>(at, comparand, operand);",
    to: "      store<T>(at, operand);\n      return comparand;",
  },
];

export const orderPlants = plantsOf(orderJudges, bugs);
