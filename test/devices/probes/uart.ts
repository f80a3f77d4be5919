// The serial port: National PC16550D data sheet, by its headings. What is sent comes back in loop-back mode, so the probe
// needs no one at the other end; at its end the line is set up anew.

import { NONE } from "./image.js";
import type { Expected, Script, Table } from "./script.js";

const BASE = 0x3f8;
const [RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR] = [0, 1, 2, 3, 4, 5, 6, 7].map((register) => BASE + register);
const FCR = IIR!;
const LOOP = 0x10;
const [OUT2, OUT1, RTS, DTR] = [8, 4, 2, 1];
const iir = { none: 1, modem: 0, transmitter: 2, data: 4, line: 6, timeout: 12, fifo: 0xc0 } as const;
const [READY, OVERRUN, EMPTY] = [1, 2, 0x60];
const VECTOR = 0x24;

/** Each is through before the next: a character takes 87 us. */
const send = (t: Script, ...bytes: number[]) => {
  for (const byte of bytes) t.out(RBR!, byte).delay(95);
  return t;
};
const status = (t: Script, is: number) => t.in(LSR!, { is: EMPTY | is, mask: 0xff });
const identity = (t: Script, is: Expected) => t.in(IIR!, is);

export const uart: Table = {
  device: "16550A",
  document: "National PC16550D data sheet",
  before: (t) => {
    t.out(0x43, 0x32).out(0x40, 0).out(0x40, 0);
    t.out(0x20, 0x11).out(0x21, 0x20).out(0x21, 4).out(0x21, 1).out(0x21, 0xef);
    t.out(MCR!, LOOP)
      .out(LCR!, 0x83)
      .out(RBR!, 1)
      .out(IER!, 0)
      .out(LCR!, 3)
      .out(IER!, 0)
      .out(FCR, 7)
      .out(FCR, 0);
    t.in(LSR!).in(RBR!).in(MSR!).in(IIR!);
  },
  cases: [
    {
      name: "registers: bits that are always 0",
      steps: (t) => {
        t.out(IER!, 0xff).in(IER!, 0x0f).out(IER!, 0).in(IER!, 0);
        t.out(MCR!, 0xff).in(MCR!, 0x1f).out(MCR!, LOOP).in(MCR!, LOOP);
        t.in(IIR!, { is: 0, mask: 0x30 });
      },
    },
    {
      name: "SCR and LCR hold what is written",
      steps: (t) => {
        for (const value of [0, 0xff, 0xa5]) t.out(SCR!, value).in(SCR!, value);
        for (const value of [0x00, 0x1b, 0x3f, 0x7f, 0x03]) t.out(LCR!, value).in(LCR!, value);
      },
    },
    {
      name: "DLAB: the divisor latch lies over RBR, THR and IER, which keep what they have",
      steps: (t) => {
        t.out(IER!, 5);
        send(t, 0x5a);
        t.out(LCR!, 0x83).out(RBR!, 0x34).out(IER!, 0x12).in(RBR!, 0x34).in(IER!, 0x12).out(LCR!, 3);
        t.in(IER!, 5).in(RBR!, 0x5a).out(LCR!, 0x83).in(RBR!, 0x34).in(IER!, 0x12);
      },
    },
    {
      name: "loop-back: what is sent is received; DR goes when it is read",
      steps: (t) => {
        status(t, 0);
        send(t, 0x41);
        status(t, READY).in(RBR!, 0x41);
        status(t, 0);
      },
    },
    {
      name: "LCR: characters of 5, 6 and 7 bits",
      steps: (t) => {
        for (const [bits, byte] of [
          [0, 0x1f],
          [1, 0x3f],
          [2, 0x7f],
          [3, 0xff],
        ] as const) {
          t.out(LCR!, bits);
          send(t, 0xff);
          t.in(RBR!, byte);
        }
      },
      notQemu: "always has 8",
    },
    {
      name: "loop-back: the modem's inputs are its outputs",
      steps: (t) => {
        for (const [outputs, inputs] of [
          [0, 0],
          [RTS, 0x10],
          [DTR, 0x20],
          [OUT1, 0x40],
          [OUT2, 0x80],
          [0x0f, 0xf0],
        ] as const)
          t.out(MCR!, LOOP | outputs!).in(MSR!, { is: inputs, mask: 0xf0 });
      },
    },
    {
      name: "MSR: each input's change, until it is read; of the ring only its end",
      steps: (t) => {
        t.in(MSR!).in(MSR!, 0);
        t.out(MCR!, LOOP | RTS!)
          .in(MSR!, 0x11)
          .in(MSR!, 0x10);
        t.out(MCR!, LOOP | RTS! | DTR!)
          .in(MSR!, 0x32)
          .in(MSR!, 0x30);
        t.out(MCR!, LOOP | OUT1!)
          .in(MSR!, 0x43)
          .in(MSR!, 0x40);
        t.out(MCR!, LOOP).in(MSR!, 0x04).in(MSR!, 0);
        t.out(MCR!, LOOP | OUT2!)
          .in(MSR!, 0x88)
          .out(MCR!, LOOP)
          .in(MSR!, 0x08);
      },
      notQemu: "has no changes of looped inputs",
    },
    {
      name: "without FIFOs: a second character is an overrun, and takes the first one's place",
      steps: (t) => {
        send(t, 0x31, 0x32);
        status(t, READY | OVERRUN);
        status(t, READY).in(RBR!, 0x32);
        status(t, 0);
      },
    },
    {
      name: "FCR: IIR bits 7 and 6 say that there are FIFOs",
      steps: (t) => {
        identity(t, iir.none);
        t.out(FCR, 1);
        identity(t, iir.none | iir.fifo);
        t.out(FCR, 0);
        identity(t, iir.none);
      },
    },
    {
      name: "FIFO: 16 characters in order; one more is an overrun and is lost",
      steps: (t) => {
        t.out(FCR, 1);
        for (let byte = 0; byte < 17; byte++) send(t, 0x40 + byte);
        status(t, READY | OVERRUN);
        for (let byte = 0; byte < 16; byte++) t.in(RBR!, 0x40 + byte);
        status(t, 0);
      },
    },
    {
      name: "FCR1 empties the receiver's FIFO; so does switching FIFOs on or off",
      steps: (t) => {
        t.out(FCR, 1);
        send(t, 1, 2, 3);
        t.out(FCR, 3);
        status(t, 0);
        send(t, 1, 2, 3);
        t.out(FCR, 0);
        status(t, 0);
        send(t, 1);
        t.out(FCR, 1);
        status(t, 0);
      },
    },
    ...[1, 4, 8, 14].map((level, index) => ({
      name: `FIFO: the trigger level of ${level}`,
      steps: (t: Script) => {
        t.out(FCR, (index << 6) | 1).out(IER!, 1);
        for (let count = 1; count < level; count++) send(t, count);
        identity(t, iir.none | iir.fifo);
        send(t, level);
        identity(t, iir.data | iir.fifo).in(RBR!, 1);
        identity(t, iir.none | iir.fifo);
      },
      notQemu: "may have timed out by then, by the host's time",
    })),
    {
      name: "FIFO: the time-out after four characters' time; reading a character ends it",
      steps: (t) => {
        t.out(FCR, 0xc1).out(IER!, 1);
        send(t, 1, 2);
        identity(t, iir.none | iir.fifo);
        t.delay(150);
        identity(t, iir.none | iir.fifo);
        t.delay(150); // 40 bits at 115,200 are 347 us
        identity(t, iir.timeout | iir.fifo).in(RBR!, 1);
        identity(t, iir.none | iir.fifo);
        t.delay(400);
        identity(t, iir.timeout | iir.fifo).in(RBR!, 2);
        t.delay(400);
        identity(t, iir.none | iir.fifo);
      },
      notQemu: "by the host's time",
    },
    {
      name: "THRE: when it is enabled, and when the transmitter empties; reading the IIR ends it",
      steps: (t) => {
        t.out(IER!, 2);
        identity(t, iir.transmitter);
        identity(t, iir.none);
        t.out(IER!, 0).out(IER!, 2);
        identity(t, iir.transmitter);
        send(t, 0x55).delay(200);
        identity(t, iir.transmitter);
        identity(t, iir.none);
      },
    },
    {
      name: "THRE: reading the IIR ends it only if that was what it said",
      steps: (t) => {
        t.out(IER!, 3);
        send(t, 0x55);
        identity(t, iir.data);
        identity(t, iir.data).in(RBR!, 0x55);
        identity(t, iir.transmitter);
        identity(t, iir.none);
      },
    },
    {
      name: "IIR: the four priorities, each ended in its own way",
      steps: (t) => {
        t.out(IER!, 0x0f);
        send(t, 1, 2);
        t.out(MCR!, LOOP | RTS!);
        identity(t, iir.line);
        identity(t, iir.line).in(LSR!, { is: OVERRUN, mask: OVERRUN });
        identity(t, iir.data).in(RBR!, 2);
        identity(t, iir.transmitter);
        identity(t, iir.modem);
        identity(t, iir.modem).in(MSR!, 0x11);
        identity(t, iir.none);
      },
      notQemu: "has no changes of looped inputs",
    },
    {
      name: "IER: what is not enabled is not said",
      steps: (t) => {
        send(t, 1, 2);
        t.out(MCR!, LOOP | RTS!);
        identity(t, iir.none);
        for (const [enable, is] of [
          [8, iir.modem],
          [1, iir.data],
          [4, iir.line],
        ] as const) {
          t.out(IER!, enable);
          identity(t, is);
          t.out(IER!, 0);
        }
        identity(t, iir.none);
      },
      notQemu: "has no changes of looped inputs",
    },
    {
      name: "OUT2 connects the interrupt to the bus",
      steps: (t) => {
        t.out(MCR!, 0).out(IER!, 2).delay(1000).none().out(MCR!, OUT2!).wait(1000, VECTOR).out(0x20, 0x20);
        t.in(IIR!).out(IER!, 0).none();
      },
      notQemu: "always connects it",
    },
    {
      name: "the line falls when its reason goes, and rises with the next",
      steps: (t) => {
        t.out(MCR!, OUT2!).out(IER!, 2).wait(1000, VECTOR).out(0x20, 0x20).none();
        identity(t, iir.transmitter);
        t.none().out(IER!, 0).out(IER!, 2).wait(1000, VECTOR).out(0x20, 0x20).out(IER!, 0).none();
        t.interrupt(NONE);
      },
    },
    {
      name: "LSR bit 7 is 0 without FIFOs, and with FIFOs that hold no error",
      steps: (t) => {
        send(t, 1, 2);
        t.in(LSR!, { is: 0, mask: 0x80 }).out(FCR, 1);
        send(t, 1, 2);
        t.in(LSR!, { is: 0, mask: 0x9e });
      },
    },
  ],
};
