// Who takes which pages for written when more were unmapped than can be noted (kernel/coherence/page-notes.ts). Here none can be noted alone.
import { ARRIVES, exclude, freeze, gone, install, inTurn, kill, retire, type Story, start } from "./story.js";

/**
 * Machine 3 waits for machine 2's acknowledgement before it writes page 0, and has unmapped page 1, which it has written. Home 1 dies, and machine
 * 3 has a copy: of those bytes, under that number, machine 2 has another.
 */
export const collecting: Story = {
  setup: {
    ...{ machines: 3, home: 1, pages: 2, takeover: true, notes: 0 },
    programs: [["r0"], ["r0w0", "r1"], ["w1", "w0"]],
  },
  kills: 1,
  steps: inTurn(
    [start(2), ARRIVES, retire(2), start(1), ARRIVES, gone(2), ARRIVES, retire(1)],
    [start(3), ARRIVES, retire(3), { do: "unmap", machine: 3, thread: 0 }],
    [
      { do: "start", machine: 3, thread: 1 },
      { do: "deliver", from: 3, to: 1 },
    ],
    [
      { do: "start", machine: 2, thread: 1 },
      { do: "deliver", from: 2, to: 1 },
    ],
    [gone(1), { do: "deliver", from: 1, to: 3 }, { do: "deliver", from: 1, to: 3 }],
    [{ do: "gone", machine: 3, page: 1 }, kill(1), exclude(1), install(2), install(3)],
    [{ do: "deliver", from: 3, to: 2 }, { do: "deliver", from: 3, to: 2 }, freeze(2)],
    [{ do: "retire", machine: 2, thread: 1 }, start(2)],
  ),
  told: 0,
};
