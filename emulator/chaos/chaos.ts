// `buslock run --chaos SEED`: what is asked for, what came of it, and how both are told.

import { Random } from "../random.js";
import type { ClusterReport } from "../report.js";
import { drawPlan, type Fault, faultText, type Kind } from "./plan.js";
import type { Finding } from "./promises.js";

export interface ChaosOptions {
  readonly seed: number;
  readonly kinds: readonly Kind[];
  readonly count: number;
  /** Milliseconds in which faults begin. */
  readonly from: number;
  readonly to: number;
  /** So long, in milliseconds, the cluster may take to be well again after the last one. */
  readonly settle: number;
  /** The guests' own; times in milliseconds. */
  readonly mirror: number;
  readonly linkloss: number;
  readonly blocked: number;
  /** So often, in milliseconds, a machine tells that it has done work of its own. */
  readonly round: number;
  readonly tell: (at: number, begins: boolean, fault: Fault) => void;
}

export interface Chaos {
  readonly plan: readonly Fault[];
  readonly findings: readonly Finding[];
  /** Additions that were judged. */
  readonly additions: number;
  readonly report: ClusterReport;
  readonly milliseconds: number;
  /** How exact the times of what the consoles said are, in milliseconds. */
  readonly blur: number;
  /** False: the run was interrupted, or its limit came, before the faults were over. */
  readonly whole: boolean;
}

export const planOf = (c: ChaosOptions, machines: number): Fault[] =>
  drawPlan(new Random(c.seed).fork("chaos"), { machines, linkloss: c.linkloss }, c);

export const kept = ({ findings }: Pick<Chaos, "findings">): boolean =>
  findings.every(({ broken }) => broken.length === 0);

export function happening(at: number, begins: boolean, fault: Fault, machines: number): string {
  const what = faultText(fault, machines);
  const over = { kill: "revive machine", pause: "resume machine", blink: "resume machine" } as const;
  const end = Object.hasOwn(over, fault.kind)
    ? `${over[fault.kind as keyof typeof over]} ${fault.machine}`
    : `over: ${faultText({ ...fault, at: 0, until: Number.POSITIVE_INFINITY }, machines)}`;
  return `${at.toFixed(1).padStart(9)} ms ${begins ? what : end}`;
}

/** For people: a row for each promise, and what broke it. */
export function verdict(chaos: Chaos): string {
  const { plan, findings, additions, blur } = chaos;
  const counts = new Map<string, number>();
  for (const { kind, until } of plan) {
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    if (kind === "kill" && until !== Number.POSITIVE_INFINITY)
      counts.set("revive", (counts.get("revive") ?? 0) + 1);
  }
  const faults = [...counts].map(([kind, n]) => `${kind} ${n}`).join(", ");
  const rows = findings.map(({ promise, says, tested, broken }) => {
    const state = broken.length > 0 ? "BROKEN" : tested === 0 ? "untried" : "kept";
    return [
      `${promise.padEnd(12)} ${state.padEnd(8)} ${String(tested).padStart(7)}  ${says}`,
      ...broken.map((b) => `    ${b}`),
    ].join("\n");
  });
  return [
    `chaos: ${plan.length} faults (${faults === "" ? "none" : faults}), ${additions} additions judged`,
    ...(blur > 0 ? [`what the consoles say is known to within ${blur.toFixed(1)} ms`] : []),
    "",
    `${"promise".padEnd(12)} ${"".padEnd(8)} ${"tried".padStart(7)}`,
    ...rows,
  ].join("\n");
}
