// Self-tests of ports and messages.
import { coreCount, thisCore } from "../lwkt/core";
import { criticalEnter, criticalExit } from "../lwkt/critical";
import {
  ASYNCHRONOUS,
  Message,
  Port,
  portCall,
  portCreate,
  portDefer,
  portDestroy,
  portReply,
  portSend,
  portWait,
} from "../lwkt/port";
import { PRIORITY_KERNEL, threadCurrent } from "../lwkt/thread";
import { sleep } from "../lwkt/wait";
import { allocate, release } from "../memory/slab";
import { stats } from "../stats";
import { expect, finished, join, shared, start } from "./support";

export const COMMAND_ADD: u32 = 1;
const COMMAND_THREAD: u32 = 2;
const COMMAND_STOP: u32 = 3;

@unmanaged
class Sum {
  /** A Message comes first. */
  next: usize = 0;
  port: usize = 0;
  replyPort: usize = 0;
  waiter: usize = 0;
  command: u32 = 0;
  flags: u32 = 0;
  result: i64 = 0;
  a: i64 = 0;
  b: i64 = 0;
}

export function newSum(command: u32, a: i64, b: i64): Sum {
  const sum = changetype<Sum>(allocate(offsetof<Sum>()));
  sum.command = command;
  sum.a = a;
  sum.b = b;
  return sum;
}

export function sumAgent(message: usize): i64 {
  const sum = changetype<Sum>(message);
  if (sum.command !== COMMAND_ADD) {
    portDefer(changetype<Port>(sum.port), changetype<Message>(message));
    return ASYNCHRONOUS;
  }
  // Promise 50: it is the sender's record itself.
  store<usize>(shared, message, 8);
  return sum.a + sum.b;
}

/** Serves what the agent leaves to it, and everything on a port without an agent. */
function sumThread(_argument: usize): void {
  const port = portCreate(changetype<usize>(threadCurrent()), load<u32>(shared, 4));
  atomic.store<u32>(shared, changetype<usize>(port));
  while (true) {
    const sum = changetype<Sum>(portWait(port));
    const stop = sum.command === COMMAND_STOP;
    portReply(changetype<Message>(sum), sum.a + sum.b);
    if (stop) break;
  }
  portDestroy(port);
  finished();
}

function startServer(core: u32, agent: u32): Port {
  atomic.store<u32>(shared, 0);
  store<u32>(shared, agent, 4);
  start(sumThread.index, 0, core, PRIORITY_KERNEL);
  while (atomic.load<u32>(shared) === 0) sleep(100_000);
  return changetype<Port>(<usize>atomic.load<u32>(shared));
}

export function call(port: Port, sum: Sum): i64 {
  return portCall(port, changetype<Message>(sum));
}

/** Promise 44: a message to an idle port with an agent is served in the caller's context, without a thread switch. */
export function synchronousTest(): void {
  for (let core: u32 = 0; core < coreCount(); core++) {
    const port = startServer(core, sumAgent.index);
    const here = core === thisCore().index;
    const sum = newSum(COMMAND_ADD, 40, 0);
    const switches = stats().threadSwitches;
    criticalEnter(); // the tick must not preempt us while switches are counted
    for (let i: i64 = 0; i < 1000; i++) {
      sum.b = i;
      if (here) expect(call(port, sum) === 40 + i, "ports: wrong sum");
    }
    if (here) {
      expect(stats().threadSwitches === switches, "ports: a synchronous call switched threads");
      expect(load<usize>(shared, 8) === changetype<usize>(sum), "ports: the message was copied");
    }
    criticalExit();
    for (let i: i64 = 0; i < 100; i++) {
      sum.b = i;
      sum.command = i & 1 ? COMMAND_ADD : COMMAND_THREAD;
      expect(call(port, sum) === 40 + i, "ports: wrong sum by way of thread or core");
    }
    sum.command = COMMAND_STOP;
    call(port, sum);
    join();
    release(changetype<usize>(sum));
  }
}

export function asynchronousTest(): void {
  const replies = portCreate(changetype<usize>(threadCurrent()), 0);
  for (let core: u32 = 0; core < coreCount(); core++) {
    const port = startServer(core, 0);
    for (let i: i64 = 0; i < 200; i++) {
      const sum = newSum(i === 199 ? COMMAND_STOP : COMMAND_THREAD, i, 1000);
      sum.replyPort = changetype<usize>(replies);
      portSend(port, changetype<Message>(sum));
    }
    for (let i: i64 = 0; i < 200; i++) {
      const sum = changetype<Sum>(portWait(replies));
      expect(sum.result === i + 1000 && sum.a === i, "ports: replies come in the order of the messages");
      release(changetype<usize>(sum));
    }
    join();
  }
  portDestroy(replies);
}
