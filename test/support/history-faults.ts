// Histories of the guest program `history` on seeded clusters of three that something happens to, and their judge:
// whatever was done is linearizable, and an outcome is unknown only where a fault was injected.
import { type FaultRun, withFaults } from "./faults.js";
import {
  type AnySpecification,
  type History,
  type HistoryKind,
  historyOf,
  specifications,
} from "./history.js";
import { type Call, check } from "./linearizability.js";

const MACHINES = 3;
const OPERATIONS = 140;
/** Milliseconds: the kill, between the two; threads begin no operation after UNTIL. */
const KILLED = [28, 42] as const;
const UNTIL = { dying: 110, lossy: 600 } as const;
const LINKLOSS = 60;
/** From the survivors' view without the dead machine until its objects have moved. */
const MOVING = 5;
/** Of pages and operations that went from machine to machine, in all. */
const CROSSINGS = 20;

export interface Struck {
  readonly kind: HistoryKind;
  readonly seed: number;
  /** A machine that dies, at a time that the seed draws; none unless told. */
  readonly victim?: number;
  /** Copies of what is written, on other machines. */
  readonly mirror?: number;
  /** Frames are lost, come twice, and overtake each other. */
  readonly lossy?: true;
  readonly kernel?: Uint8Array;
}

export interface StruckHistory {
  readonly history: History;
  readonly unknown: number;
  /** What is wrong with it; undefined: nothing. */
  readonly problem: string | undefined;
}

export async function struckHistory(o: Struck): Promise<StruckHistory> {
  const { kind, seed, victim, mirror = 0, lossy, kernel } = o;
  const killed = KILLED[0] + ((seed * 0.618034) % 1) * (KILLED[1] - KILLED[0]);
  const run = await withFaults(
    "history",
    [kind, OPERATIONS, lossy ? UNTIL.lossy : UNTIL.dying],
    victim === undefined ? [] : [[killed, ({ nodes }) => nodes[victim - 1]!.outlet!.kill()]],
    {
      machines: MACHINES,
      seed,
      memory: 16 << 20,
      outlets: true,
      append: `linkloss=${lossy ? 10_000 : LINKLOSS} blocked=600 mirror=${mirror}`,
      network: lossy
        ? { faults: { loss: 0.03, duplicate: 0.1 }, delay: [10, 100], reorder: true }
        : { delay: [10, 60] },
      ...(kernel === undefined ? {} : { kernel }),
    },
    1000,
  );
  const history = historyOf(run.lines.map(({ text }) => text));
  const says = wrong(run, history, kind, victim, killed);
  const shape = JSON.stringify({ ...o, kernel: kernel === undefined ? "as built" : "changed" });
  return {
    history,
    unknown: history.filter(({ told }) => told !== undefined).length,
    problem: says && `${shape}, killed at ${killed.toFixed(3)} ms: ${says}\n${run.text()}`,
  };
}

function wrong(
  run: FaultRun,
  history: History,
  kind: HistoryKind,
  victim: number | undefined,
  killed: number,
): string | undefined {
  const living = [1, 2, 3].filter((machine) => machine !== victim);
  for (const machine of living)
    if (run.said(machine, /^exit: 0$/).length !== 1) return `machine ${machine} did not end well`;
  const crossings = run.lines.reduce(
    (sum, { text }) =>
      sum +
      [...text.matchAll(/"(?:pagesReceived|operationsShipped)":(\d+)/g)].reduce(
        (n, m) => n + Number(m[1]),
        0,
      ),
    0,
  );
  if (crossings <= CROSSINGS) return `only ${crossings} pages and operations went between machines`;
  const views = run.lines.filter(({ text }) => /^cluster: view 2: /.test(text)).map(({ at }) => at);
  const over = (Math.max(killed, ...views) + MOVING) * 1e6;
  for (const { by, told, invoked, result, call } of history) {
    if (result !== undefined) continue;
    const dead = by + 1 === victim && told === undefined;
    const overlaps = told !== undefined && victim !== undefined && told >= killed * 1e6 && invoked <= over;
    if (!dead && !overlaps) return `thread ${by}: ${call.name} of ${invoked}: nobody knows, without a fault`;
  }
  const verdict = check(history, specifications[kind]);
  if (verdict.linearizable || isWithLoss(history, kind, killed * 1e6, over)) return undefined;
  return `not linearizable: ${JSON.stringify(verdict.stuck)}`;
}

const LOST: Call = { name: "lost", first: 0, second: 0 };

/**
 * Without mirrors a page that only the dead machine had is lost, and somebody is told: from one moment during the move on
 * the object is as its backing store had it.
 */
function isWithLoss(history: History, kind: HistoryKind, killed: number, over: number): boolean {
  const strikes = history.flatMap(({ told }) => told ?? []);
  if (strikes.length === 0) return false;
  const lost = { call: LOST, result: null, invoked: killed, returned: Math.max(over, ...strikes) };
  const specification = specifications[kind];
  // A counter goes up from there: the least that is found afterwards.
  const found = history.filter(({ returned }) => returned > killed).flatMap(({ result }) => result ?? []);
  const states = { xadd: [Math.min(...found)], register: [0, 1, 2, 3], lock: [false, true], queue: [] }[kind];
  return states.some((former: unknown) => {
    const losing: AnySpecification = {
      ...specification,
      step: (state, call, result) => (call === LOST ? former : specification.step(state, call, result)),
    };
    return check([...history, lost], losing).linearizable;
  });
}
