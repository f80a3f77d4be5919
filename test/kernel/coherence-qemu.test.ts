// The coherence of whole machines: QEMU is the hardware, nobody in between but an Ethernet that QEMU's processes
// make among themselves. Locked instructions on mapped files, a mutex, the death of a machine.
import { describe, expect, test } from "vitest";
import { cProgram, hasMusl, hasQemu, missing, program } from "../support/guest.js";
import { bootCluster, type QemuMachine } from "../support/qemu-cluster.js";

const all = (machines: QemuMachine[]) =>
  machines.map((m, i) => `--- machine ${i + 1}\n${m.output}`).join("\n");

function expectZero(machines: QemuMachine[]): void {
  for (const machine of machines) expect(machine.status, all(machines)).toBe(0);
}

// Cores there run truly at once, which no seeded run does: a value lost or a sleeper not woken is a finding, however rare.
describe.skipIf(!hasQemu)(`clusters of QEMU machines${missing("qemu")}`, { retry: 0 }, () => {
  test("promise 61: LOCK XADD on a mapped file from two machines of two cores counts right", async () => {
    const machines = await bootCluster({ files: [program("counter")], args: ["2000"], machines: 2 });
    expectZero(machines);
    expect(machines[0]!.output).toMatch(
      /counter: machines 2 cores 2 expected 8000 counted 8000 old values a permutation: yes/,
    );
    // What one machine sent, the other one got.
    const [first, second] = machines.map((machine) => machine.stats);
    expect(first!["pagesSent"]).toBe(second!["pagesReceived"]);
    expect(first!["messagesReceived"]).toBe(
      second!["messagesSent"]! - 1 + (second!["messagesSent"]! > 0 ? 1 : 0),
    );
    expect(first!["pagesReceived"]).toBeGreaterThan(2);
  });

  test("a machine that pauses for longer than its leases, but not for so long that it is lost, costs nothing", async () => {
    const machines = await bootCluster(
      { files: [program("counter")], args: ["6000"], machines: 2, options: ["linkloss=6000"] },
      async ([first, second]) => {
        await first!.says(/counter: node 1 \d+/, 40);
        second!.pause(); // leases are 1.8 s, silence is death after 4 s
        await new Promise((resolve) => setTimeout(resolve, 2500));
        second!.resume();
      },
    );
    expectZero(machines);
    expect(machines[0]!.output).toMatch(/expected 24000 counted 24000 old values a permutation: yes/);
    expect(machines[0]!.output).not.toMatch(/is lost/);
  });

  test("a machine pauses until it is lost: one of the two finds itself excluded, and its programs are told", async () => {
    await bootCluster(
      {
        // Longer than the test, however fast the host.
        files: [program("contend")],
        args: ["think", "300000000"],
        machines: 2,
        cores: 1,
        options: ["linkloss=1500"],
      },
      async ([first, second]) => {
        await first!.says("cluster: view 1: machines 1 2", 40);
        await new Promise((resolve) => setTimeout(resolve, 500));
        second!.pause();
        await first!.says("cluster: machine 2 is lost", 30);
        second!.resume();
        // No bridge has a vote here: neither can go on alone, and either may be the one whose proposal both accept.
        await Promise.any([first!, second!].map((machine) => machine.says("cluster: left out", 30)));
        for (const machine of [first!, second!]) {
          expect(machine.output).not.toMatch(/panic/);
          machine.kill();
        }
      },
    );
  });

  test("a machine that is killed and starts again joins as a new machine", async () => {
    const machines = await bootCluster(
      {
        // Longer than the test, however fast the host.
        files: [program("contend")],
        args: ["think", "300000000"],
        machines: 2,
        cores: 1,
        options: ["linkloss=900"],
      },
      async ([first, second], start) => {
        // Both: one that has not heard the other one's first life does not miss it.
        await first!.says("cluster: machine 2 is here", 40);
        await second!.says("cluster: machine 1 is here", 40);
        second!.kill();
        const again = start(2);
        await again.says("cluster: machine 1 is here", 40);
        await first!.says(/is here[\s\S]*cluster: machine 2 is lost[\s\S]*cluster: machine 2 is here/, 40);
        await new Promise((resolve) => setTimeout(resolve, 1000));
        first!.kill();
        again.kill();
      },
    );
    for (const machine of machines) expect(machine.output, all(machines)).not.toMatch(/panic/);
  });

  test("promise 57: three machines, over a wire of 1500 bytes that takes a page in three datagrams", async () => {
    const machines = await bootCluster({
      files: [program("counter")],
      args: ["300"],
      machines: 3,
      cores: 1,
      mtu: 0,
    });
    expectZero(machines);
    expect(machines[0]!.output).toMatch(/machine 1 of 3, 10.66.0.1, MTU 1500/);
    expect(machines[0]!.output).toMatch(/expected 900 counted 900 old values a permutation: yes/);
  });
});

describe.skipIf(!hasQemu || !hasMusl)(
  `C programs on clusters of QEMU machines${missing("qemu", "musl")}`,
  { retry: 0 },
  () => {
    test("promise 61: a LOCKed operand across two pages is atomic across machines, and nobody starves", async () => {
      const machines = await bootCluster({ files: [cProgram("split")], args: ["300"], machines: 2 });
      expectZero(machines);
      expect(machines[0]!.output).toMatch(/split: expected 1000004a0 counted 1000004a0/);
    });

    test("promise 60: a process-shared mutex and condition variable of pthreads, unmodified, over two machines", async () => {
      const machines = await bootCluster({ files: [cProgram("mutex")], args: ["60", "5"], machines: 2 });
      expectZero(machines);
      expect(machines[0]!.output).toMatch(
        /mutex: threads 4 expected 240 counted 240, turns expected 20 taken 20/,
      );
    });

    test("promise 60: files: written here, read there; cut, grown, unlinked while in use, as on one Linux", async () => {
      const machines = await bootCluster({ files: [cProgram("files")], machines: 3, cores: 1 });
      expectZero(machines);
      expect(machines[0]!.output).toMatch(/files: machines 3, wrong 0/);
    });

    test("promise 114: a machine is killed: the others say so and go on, or are told of the loss", async () => {
      const options = ["linkloss=1500"];
      const machines = await bootCluster(
        // Longer than the test, however fast the host.
        { files: [program("contend")], args: ["think", "300000000"], machines: 3, cores: 1, options },
        async ([first, second, third]) => {
          await first!.says("cluster: view 1: machines 1 2 3", 40);
          await new Promise((resolve) => setTimeout(resolve, 1000));
          third!.kill();
          await first!.says("cluster: machine 3 is lost", 20);
          await second!.says("cluster: machine 3 is lost", 20);
          // If the dead machine had the word or was its home, a signal has ended the programs, not silence.
          first!.kill();
          second!.kill();
        },
      );
      expect(machines[0]!.output).not.toMatch(/panic/);
      expect(machines[1]!.output).not.toMatch(/panic/);
    });
  },
);
