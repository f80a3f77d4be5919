// The engine's short steps (kernel/coherence/steps.ts) against the table's rows: wherever the search of all orders of events and random runs
// come, an event that a short step may take is taken both ways; pages, peers' slots and ranges are the same afterwards, byte
// by byte, and so is what is said. Steps of pages that have no records (together.ts) are compared with records that merge before and
// afterwards: which they may, and the ranges are the same then.
import { describe, expect, test } from "vitest";
import { type Program, World, wander } from "../support/coherence.js";
import { cases, nameOf } from "../support/coherence-cases.js";
import type { Setup } from "../support/coherence-state.js";
import { KernelWasm } from "../support/kernel-wasm.js";
import { explore, Violation } from "../support/search.js";

const kernel = new KernelWasm();
const constants = Object.fromEntries(kernel.constants());
const steps = Object.fromEntries(
  [
    ...["stepAsk", "sayAsked", "stepTake", "stepCopy", "stepMayGive", "stepGive", "sayGiven"],
    ...["stepAskMany", "stepAskedBefore", "stepMayGiveRange", "stepGiveRange", "stepMayTake"],
    ...["rangeSetCount", "rangeSetBytes"],
  ].map((name) => [name, kernel.call(name)]),
) as Record<string, ReturnType<typeof kernel.call>>;
const taken = { ask: 0, take: 0, copy: 0, give: 0, giveRange: 0, copyRange: 0, askMany: 0, takeRange: 0 };

/** A world that takes both ways, and goes on by the table's. */
function doubled(setup: Setup): World {
  const world = new World(kernel, setup);
  const { engines } = world;
  const { ask, message, gone } = engines.do;
  const stride = engines.engine(2) - engines.engine(1);
  const machineOf = (engine: number) => (engine - engines.engine(1)) / stride + 1;

  /** What is behind the engine's own record, which remembers how much the machine has said to itself; and what it says. */
  const outcome = (engine: number, work: () => void) => {
    const said = engines.run(machineOf(engine), work).filter(({ kind }) => kind === constants["ACT_SEND"]);
    return { bytes: kernel.bytes.slice(engines.set(machineOf(engine)), engine + stride), said };
  };
  const same = (name: keyof typeof taken, engine: number, short: () => void, rows: () => void) => {
    const before = engines.save();
    const [shortly, fully] = [short, rows].map((work) => {
      engines.load(before);
      return outcome(engine, work);
    }) as [ReturnType<typeof outcome>, ReturnType<typeof outcome>];
    engines.load(before);
    const at = shortly.bytes.findIndex((byte, i) => byte !== fully.bytes[i]);
    if (at >= 0) throw new Violation(`the short step ${name} leaves byte ${at} behind the engine otherwise`);
    const text = ({ said }: typeof shortly) =>
      said.map((s) => `${s.kind} to ${s.to}: ${Buffer.from(s.message).toString("hex")}`).join("\n");
    if (text(shortly) !== text(fully))
      throw new Violation(`the short step ${name} says\n${text(shortly)}\nand the rows\n${text(fully)}`);
    taken[name]++;
  };
  /** The ranges of a machine; what lies behind the last one is no part of them. */
  const rangesOf = (machine: number) => {
    const at = engines.set(machine) + ((steps["rangeSetBytes"]!() + 15) & ~15);
    const bytes = steps["rangeSetCount"]!(engines.set(machine)) * Number(constants["RANGE_BYTES"]);
    return Buffer.from(kernel.bytes.slice(at, at + bytes)).toString("hex");
  };
  const mayMerge = (engine: number, page: number) =>
    setup.ranges === true && engines.do.mayMerge(engine, page) !== 0;
  /**
   * The page's range alone takes the step; or a record does as the table says, and merges then. `merged`: the page has none before, and
   * one is made for it.
   */
  const sameRanges = (
    name: keyof typeof taken,
    engine: number,
    page: number,
    merged: boolean,
    short: () => void,
    rows: () => void,
  ) => {
    const before = engines.save();
    const machine = machineOf(engine);
    const merge = () => {
      if (merged) engines.do.merge(engine, page);
    };
    merge();
    short();
    const shortly = rangesOf(machine);
    engines.load(before);
    merge();
    if (merged) engines.createPage(machine, indexOf(machine, page), machine); // at the home
    rows();
    if (!mayMerge(engine, page)) throw new Violation(`${name}: a record may not merge behind its short step`);
    engines.do.merge(engine, page);
    const fully = rangesOf(machine);
    engines.load(before);
    if (shortly !== fully) throw new Violation(`${name}: ranges are\n${shortly}\nand behind rows\n${fully}`);
    taken[name]++;
  };
  /** At the home, which has the page's record, or has it merged: the same request of pages that have none. */
  const rangeAnswers = (name: "giveRange" | "copyRange", args: number[], rows: () => void): void => {
    const [engine, page, at] = args as [number, number, number];
    const from = kernel.bytes[at + 1]!;
    const machine = machineOf(engine);
    if (!mayMerge(engine, page)) return;
    const set = engines.set(machine);
    const index = BigInt(indexOf(machine, page));
    sameRanges(
      name,
      engine,
      page,
      true,
      () => {
        if (Number(steps["stepMayGiveRange"]!(engine, set, index, 1n, from)) !== 1)
          throw new Violation(`${name}: a range may not do what its page's record may`);
        steps["stepGiveRange"]!(engine, set, index, index, from);
      },
      rows,
    );
  };
  const indexOf = (machine: number, page: number) =>
    Array.from({ length: 8 }, (_, p) => engines.page(machine, p)).indexOf(page);

  /** May the step be taken? Nothing has changed afterwards. */
  const may = (step: string, ...args: number[]): boolean => {
    const before = engines.save();
    const allowed = steps[step]!(...args) !== 0;
    engines.load(before);
    return allowed;
  };

  engines.do.ask = (engine, page, write) => {
    const args = [Number(engine), Number(page)];
    if (Number(write) === 0 && may("stepAsk", ...args))
      same(
        "ask",
        args[0]!,
        () => {
          steps["stepAsk"]!(...args);
          steps["sayAsked"]!(...args);
        },
        () => ask(engine, page, 0),
      );
    // A record that is made for a page that was asked for without.
    if (Number(write) === 0 && may("stepAsk", ...args) && engines.do.mayMerge(args[0]!, args[1]!) !== 0)
      same(
        "askMany",
        args[0]!,
        () => {
          steps["stepAskedBefore"]!(args[1]!, steps["stepAskMany"]!(args[0]!, 1));
          steps["sayAsked"]!(...args);
        },
        () => ask(engine, page, 0),
      );
    return ask(engine, page, write);
  };
  engines.do.message = (engine, page, at) => {
    const args = [Number(engine), Number(page), Number(at)];
    const grants = [constants["ACT_TAKE"], constants["ACT_GRANT"]];
    if (may("stepTake", ...args)) {
      // The caller does as these say.
      same(
        "take",
        args[0]!,
        () => steps["stepTake"]!(...args),
        () => {
          message(engine, page, at);
          const wanted = engines.run(machineOf(args[0]!), () => {}).map(({ kind }) => kind);
          if (wanted.join() !== grants.join())
            throw new Violation(`a short step stands for actions ${wanted.join()}`);
        },
      );
      if (steps["stepMayTake"]!(args[2]!) === 0)
        throw new Violation("a copy may not be taken without a record");
      if (setup.ranges === true)
        sameRanges(
          "takeRange",
          args[0]!,
          args[1]!,
          false,
          () => {
            const index = BigInt(indexOf(machineOf(args[0]!), args[1]!));
            engines.do.putState(engines.set(machineOf(args[0]!)), index, index, constants["SHARED"]!);
          },
          () => message(engine, page, at),
        );
    } else if (may("stepCopy", ...args)) {
      same(
        "copy",
        args[0]!,
        () => {
          steps["stepCopy"]!(...args);
          steps["sayGiven"]!(...args);
        },
        () => message(engine, page, at),
      );
      rangeAnswers("copyRange", args, () => message(engine, page, at));
    } else if (may("stepMayGive", ...args)) {
      for (const dirty of [0, 1]) {
        same(
          "give",
          args[0]!,
          () => {
            steps["stepMayGive"]!(...args);
            steps["stepGive"]!(...args, dirty);
            steps["sayGiven"]!(...args);
          },
          () => {
            message(engine, page, at);
            const wanted = engines.run(machineOf(args[0]!), () => {}).map(({ kind, flags }) => [kind, flags]);
            if (wanted.join() !== `${constants["ACT_REVOKE"]},1`)
              throw new Violation(`actions ${wanted.join()}`);
            gone(engine, page, dirty);
          },
        );
        rangeAnswers("giveRange", args, () => {
          message(engine, page, at);
          gone(engine, page, dirty);
        });
      }
    }
    return message(engine, page, at);
  };
  return world;
}

describe("short steps", { timeout: 60_000 }, () => {
  const small = cases.filter(({ states }) => states < 60_000);
  test.each(small.map((one) => [nameOf(one), one] as const))("every order of events: %s", (_name, one) => {
    const { programs, home, kills, rejoins = false, states } = one;
    const world = doubled({ machines: programs.length, home, programs });
    world.rejoins = rejoins;
    expect(explore(world, kills).states).toBe(states);
  });

  test("pages that begin as parts of ranges, at random", () => {
    const programs: Program[][] = [["rwr", "rr"], ["rrw"], ["rrr", "r"], ["wr"]];
    for (const home of [1, 2, 3, 4]) {
      const world = doubled({ machines: 4, home, programs, pages: 2, ranges: true } as Setup);
      const fresh = world.save();
      for (let seed = 1; seed <= 200; seed++) {
        world.load(fresh);
        wander(world, seed, seed % 2);
      }
    }
  });

  test("all of them were taken", () => {
    expect(Math.min(...Object.values(taken)), JSON.stringify(taken)).toBeGreaterThan(50);
  });
});
