// Cores on real threads, over one machine's memory, without a board: for tests of what only true parallelism shows.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import type { EngineModules, EnginePlan } from "../../emulator/cpu/engine.js";

const engine = pathToFileURL(join(process.cwd(), "dist/emulator/cpu/engine.js")).href;

/** What each thread does: runs its core until it sleeps for good, and says how many instructions that took. */
const program = `
  import { parentPort, workerData } from "node:worker_threads";
  const { Engine } = await import(workerData.engine);
  const { memory, plan, modules, core, mutation } = workerData;
  if (mutation !== undefined) {
    const { programOf } = await import(new URL("program.js", workerData.engine).href);
    const { forms } = programOf(modules);
    const slot = forms.slot.bind(forms);
    const mutate = (0, eval)(mutation);
    forms.slot = (form) => slot(mutate(form));
  }
  const host = {
    portRead: () => 0, portWrite() {}, busRead: () => 0xffffffff, busWrite() {},
    timestamp: () => Number(process.hrtime.bigint()), cpuid: () => [0, 0, 0, 0],
    pendingInterrupt: () => false, acknowledge: () => -1,
    readApicBase: () => 0, writeApicBase: () => true, readTaskPriority: () => 0, writeTaskPriority() {},
    readApicMsr: () => -1, writeApicMsr: () => false, readTscDeadline: () => 0, writeTscDeadline() {}, initialise() {},
    performanceInterrupt() {},
    unimplemented(what) { throw new Error(what); },
  };
  const { waits } = await import(new URL("monitor.js", workerData.engine).href);
  const { ATTENTION } = await import(new URL("layout.js", workerData.engine).href);
  const { coreAddress } = await import(new URL("memory-plan.js", workerData.engine).href);
  const [words, c] = [new Int32Array(memory.buffer), coreAddress(core)];
  const engine = new Engine(memory, plan, Array(plan.cores).fill(host), { modules, live: true });
  parentPort.postMessage("ready");
  parentPort.once("message", () => {
    let retired = 0;
    for (;;) {
      if (engine.runnable(core)) retired += engine.run(core, 100000);
      else if (waits(words, c)) Atomics.wait(words, (c + ATTENTION) >>> 2, 0);
      else break;
    }
    parentPort.postMessage(retired);
  });
`;

/**
 * Runs cores 0 to n-1, each on a thread of its own, until all sleep; gives the instructions of each. `mutation` is the
 * text of a function from a form to the form that is generated instead: a planted bug (test/bugs).
 */
export async function runOnThreads(
  memory: WebAssembly.Memory,
  plan: EnginePlan,
  modules: EngineModules,
  cores = plan.cores,
  mutation?: string,
): Promise<number[]> {
  const url = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
  const workers = Array.from(
    { length: cores },
    (_, core) => new Worker(url, { workerData: { engine, memory, plan, modules, core, mutation } }),
  );
  const message = (worker: Worker) =>
    new Promise<unknown>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
  try {
    await Promise.all(workers.map(message));
    const results = workers.map(message);
    for (const worker of workers) worker.postMessage("go");
    return (await Promise.all(results)) as number[];
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
