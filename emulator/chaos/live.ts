// Chaos in real time: the plan's faults strike the processes of a live cluster. A machine that loses its power is killed by
// SIGKILL, one that stands still is stopped by SIGSTOP, a new life is a new process; the wire is the bridge's (netbridge/server.ts,
// `become`), which is a process too. The plan's zero is when all machines have met, so its times are the seed's; what
// exactly happens then is not.
//
// Times: programs tell theirs by time stamp counters, whose zero each process tells by the host's monotonic clock, so that they
// fit each other. When a line was heard is another matter: how late lines that carry their own time came, and how late
// this process's own timers were, is the `blur` that the judge allows.

import { machineName, resultLine } from "../cluster.js";
import { hostMonotonicMilliseconds } from "../host-clock.js";
import { VOTE_STATION } from "../live-bridge.js";
import { type LiveOptions, type Seats, withSeats } from "../live-cluster.js";
import type { MachineProcess } from "../machine-process.js";
import { judgeAdditions } from "./additions.js";
import { type Chaos, type ChaosOptions, planOf } from "./chaos.js";
import { type Line, type Reading, read } from "./ledger.js";
import { stations } from "./plan.js";
import { type Evidence, isSettled, judge } from "./promises.js";
import { type Hands, Storm, type Stretch } from "./storm.js";

/** So often it is looked whether all are well again, and whether this process is late. */
const LOOK_MS = 200;
const HEARTBEAT_MS = 5;
/** Until all machines have met: their processes start, and their kernels boot. */
const MEET_MS = 60_000;
/** The one finding where they have not: there is nothing else to judge. */
const MEETING = { promise: "start", says: "all machines meet before anything is done to them" };
/** How exact the time stamp counters fit, and the moment at which a signal strikes: a core's turn is some hundred microseconds. */
const SKEW_MS = 2;
const ENDING_MS = 5000;
/** Microseconds that a frame is held at least, when frames are to overtake each other. */
const DELAY_LEAST = 20;

export const runLiveChaos = (o: LiveOptions, c: ChaosOptions): Promise<Chaos> =>
  withSeats(o, async (seats) => await new Siege(o, c, seats).run());

interface Life {
  readonly process: MachineProcess;
  /** It ended because it was made to. */
  struck: boolean;
}

class Siege {
  readonly #o: LiveOptions;
  readonly #c: ChaosOptions;
  readonly #seats: Seats;
  readonly #lives: Life[][];
  readonly #still = new Set<number>();
  readonly #lines: Line[] = [];
  readonly #deaths: { machine: number; life: number; at: number }[] = [];
  readonly #resumes: { machine: number; at: number }[] = [];
  readonly #over: AbortSignal;
  #zero = hostMonotonicMilliseconds();
  /** The longest that this process was late. */
  #late = 0;

  constructor(o: LiveOptions, c: ChaosOptions, seats: Seats) {
    this.#o = o;
    this.#c = c;
    this.#seats = seats;
    this.#lives = stations(o.machines).map(() => []);
    this.#over = AbortSignal.any([o.signal, AbortSignal.timeout(o.limitSeconds * 1000)]);
  }

  async run(): Promise<Chaos> {
    const plan = planOf(this.#c, this.#o.machines);
    for (const machine of stations(this.#o.machines)) this.#begin(machine);
    const storm = new Storm(this.#o.machines, plan, this.#hands(), this.#c.tell);
    const apart = await this.#meet();
    this.#rezero();
    const beat = this.#heartbeat();
    const on = apart === null && (await storm.run()) && (await this.#settle(storm));
    clearInterval(beat);
    storm.last.to = this.#now();
    const evidence = this.#evidence(storm.stretches);
    await this.#end();
    return {
      plan,
      findings: apart === null ? judge(evidence) : [{ ...MEETING, tested: 1, broken: [apart] }],
      additions: evidence.reading.additions.length,
      report: this.#report(),
      milliseconds: evidence.end,
      blur: evidence.blur,
      whole: on,
    };
  }

  #now = (): number => hostMonotonicMilliseconds() - this.#zero;

  /** All times so far were by another zero. */
  #rezero(): void {
    const before = this.#now();
    this.#zero += before;
    this.#lines.forEach((line, i) => {
      this.#lines[i] = { ...line, at: line.at - before };
    });
  }

  #begin(machine: number): void {
    const lives = this.#lives[machine - 1]!;
    const life = lives.length;
    const process = this.#seats.start(machine, (text) => {
      this.#lines.push({ at: this.#now(), machine, life, text });
      this.#o.onLine(machineName(machine), text);
    });
    lives.push({ process, struck: false });
  }

  #life(machine: number): Life {
    return this.#lives[machine - 1]!.at(-1)!;
  }

  /** Waits; false: the run is over. */
  async #reach(at: number): Promise<boolean> {
    for (;;) {
      const rest = at - this.#now();
      if (this.#over.aborted) return false;
      if (rest <= 0) return true;
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          this.#over.removeEventListener("abort", done);
          resolve();
        };
        const timer = setTimeout(done, rest);
        this.#over.addEventListener("abort", done);
      });
    }
  }

  /** Until every machine has taken a view of all; else tells why none will. */
  async #meet(): Promise<string | null> {
    const all = stations(this.#o.machines);
    const whole = `machines ${all.join(" ")}`;
    const has = (machine: number) =>
      this.#lines.some(
        (l) => l.machine === machine && /^cluster: view \d+: /.test(l.text) && l.text.endsWith(whole),
      );
    const until = this.#now() + MEET_MS;
    while (!all.every(has)) {
      const ended = all.find((m) => this.#life(m).process.how !== null);
      if (ended !== undefined) return `${machineName(ended)} ended before all had met`;
      if (this.#now() > until) return `they have not met within ${MEET_MS / 1000} s`;
      if (!(await this.#reach(this.#now() + LOOK_MS / 10))) return "the run was over before all had met";
    }
    return null;
  }

  /** Until all are well again and have been seen to count, or the time for it is over. */
  async #settle(storm: Storm): Promise<boolean> {
    const { from } = storm.last;
    const off = () => this.#lives.every((lives) => lives.at(-1)!.process.how !== null);
    while (!off() && this.#now() < from + this.#c.settle) {
      if (!(await this.#reach(this.#now() + LOOK_MS))) return false;
      storm.last.to = this.#now();
      const evidence = this.#evidence(storm.stretches);
      // A host that is busy lets machines tell of little: until then nothing may be there by which the count is judged.
      const judged = isSettled(evidence) && judgeAdditions(evidence).tested > 0;
      if (this.#now() >= from + this.#c.linkloss && judged) break;
    }
    return true;
  }

  #heartbeat(): NodeJS.Timeout {
    let last = this.#now();
    return setInterval(() => {
      const now = this.#now();
      this.#late = Math.max(this.#late, now - last - HEARTBEAT_MS);
      last = now;
    }, HEARTBEAT_MS);
  }

  // --- What the plan does ---

  #hands(): Hands {
    const bridge = this.#seats.bridge!;
    const running = () => stations(this.#o.machines).filter((m) => this.#runs(m) && !this.#still.has(m));
    return {
      now: this.#now,
      reach: (at) => this.#reach(at),
      kill: async (machine) => {
        const life = this.#life(machine);
        life.struck = true;
        this.#deaths.push({ machine, life: this.#lives[machine - 1]!.length - 1, at: this.#now() });
        life.process.signal("SIGKILL");
        await life.process.ended;
      },
      revive: (machine) => this.#begin(machine),
      pause: (machine) => {
        this.#still.add(machine);
        this.#life(machine).process.signal("SIGSTOP");
      },
      resume: (machine) => {
        this.#still.delete(machine);
        this.#life(machine).process.signal("SIGCONT");
        this.#resumes.push({ machine, at: this.#now() });
      },
      bridgeStops: () => bridge.kill(),
      bridgeStarts: () => bridge.startAgain(running()),
      wire: async (deaf, { loss, duplicate, delay }) => {
        const station = (n: number) => (n > this.#o.machines ? VOTE_STATION : n);
        await bridge.become({
          deaf: deaf.map(([from, to]) => [station(from), station(to)]),
          faults: {
            ...(loss > 0 ? { loss } : {}),
            ...(duplicate > 0 ? { duplicate } : {}),
            ...(delay > 0 ? { delay: [DELAY_LEAST, delay] } : {}),
          },
        });
      },
    };
  }

  #runs(machine: number): boolean {
    return this.#life(machine).process.how === null;
  }

  // --- What came of it ---

  #evidence(stretches: readonly Stretch[]): Evidence {
    const zero = (machine: number, life: number) =>
      (this.#lives[machine - 1]![life]!.process.zero ?? Number.NaN) - this.#zero;
    const reading = read(this.#lines, zero);
    return {
      machines: this.#o.machines,
      mirror: this.#c.mirror,
      linkloss: this.#c.linkloss,
      blocked: this.#c.blocked,
      blur: Math.max(this.#late, lag(reading, stretches)),
      skew: SKEW_MS,
      round: this.#c.round,
      stretches,
      reading,
      deaths: this.#deaths,
      resumes: this.#resumes,
      problems: this.#lives.flatMap((lives, i) =>
        lives.flatMap(({ process, struck }) => {
          const problem = process.problem ?? process.how ?? "";
          return struck || problem === "" ? [] : [{ machine: i + 1, problem }];
        }),
      ),
      end: this.#now(),
    };
  }

  /** They tell their figures first, if they can. */
  async #end(): Promise<void> {
    const last = stations(this.#o.machines).map((m) => this.#life(m).process);
    for (const process of last) {
      process.signal("SIGINT");
      process.signal("SIGCONT");
    }
    const late = setTimeout(() => {
      for (const process of last) process.signal("SIGKILL");
    }, ENDING_MS);
    await Promise.all(last.map(({ ended }) => ended));
    clearTimeout(late);
  }

  #report(): Chaos["report"] {
    const lines = this.#lines.filter(({ machine }) => machine === 1).map(({ text }) => text);
    return {
      program: this.#o.program.name,
      mode: "live",
      cores: this.#o.cores,
      milliseconds: Math.round(this.#now()),
      machines: stations(this.#o.machines).map((m) => {
        const { process, struck } = this.#life(m);
        return process.report(struck ? "killed" : "stopped");
      }),
      result: resultLine(lines, this.#o.program.name),
      ok: false,
    };
  }
}

/** How late lines came that tell their own time, but for those of machines that stood still between. */
function lag(reading: Reading, stretches: readonly Stretch[]): number {
  const stood = (machine: number, from: number, to: number) =>
    stretches.some((s) => s.still[machine - 1] === true && s.from <= to && s.to >= from);
  return reading.rounds
    .filter(({ machine, at, heard }) => heard > 0 && !stood(machine, at, heard))
    .reduce((most, { at, heard }) => Math.max(most, heard - at), 1);
}
