// The keyboard controller: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller",
// "101- and 102-Key Keyboards" and "Mouse". Nobody presses a key or moves the mouse.

import type { Script, Table } from "./script.js";

const [DATA, STATUS] = [0x60, 0x64];
const status = { output: 1, input: 2, system: 4, command: 8, mouse: 0x20, timeouts: 0xc0 } as const;
const WAIT = 50_000;
const [KEYBOARD_VECTOR, MOUSE_VECTOR] = [0x21, 0x2c];

const ready = (t: Script) => t.poll(STATUS, status.input, 0, WAIT);
const command = (t: Script, value: number) => ready(t).out(STATUS, value);
const data = (t: Script, value: number) => ready(t).out(DATA, value);
const full = (t: Script) => t.poll(STATUS, status.output, status.output, WAIT);
/** What comes at the data port, one after the other. */
const gives = (t: Script, ...bytes: number[]) => {
  for (const byte of bytes) full(t).in(DATA, byte);
  return t;
};
const setCommandByte = (t: Script, value: number) => data(command(t, 0x60), value);
const key = (t: Script, value: number, ...answers: number[]) => gives(data(t, value), ...answers);
const mouse = (t: Script, value: number, ...answers: number[]) => {
  data(command(t, 0xd4), value);
  for (const byte of answers) full(t).in(STATUS, { is: status.mouse, mask: status.mouse }).in(DATA, byte);
};
const ACK = 0xfa;
const RESEND = 0xfe;

export const keyboard: Table = {
  device: "i8042",
  document: "IBM PS/2 Hardware Interface Technical Reference",
  before: (t) => {
    for (let byte = 0; byte < 4; byte++) t.in(DATA).delay(50);
    setCommandByte(t, 0x30); // both lines off, no interrupts, no translation
    t.in(DATA);
    t.out(0x43, 0x32).out(0x40, 0).out(0x40, 0);
    t.out(0x20, 0x11).out(0x21, 0x20).out(0x21, 4).out(0x21, 1).out(0x21, 0xf9);
    t.out(0xa0, 0x11).out(0xa1, 0x28).out(0xa1, 2).out(0xa1, 1).out(0xa1, 0xef);
  },
  cases: [
    {
      name: "AA, self test: 55, and the system flag",
      steps: (t) => {
        command(t, 0xaa);
        gives(t, 0x55).in(STATUS, { is: status.system, mask: status.system | status.output });
      },
    },
    {
      name: "AB and A9, interface tests: both lines are good",
      steps: (t) => {
        gives(command(t, 0xab), 0);
        gives(command(t, 0xa9), 0);
      },
    },
    {
      name: "20 and 60, the command byte",
      steps: (t) => {
        for (const value of [0x30, 0x74, 0x77, 0x47, 0x30]) {
          setCommandByte(t, value);
          gives(command(t, 0x20), value);
        }
      },
    },
    {
      name: "the system flag of the command byte is the status's",
      steps: (t) => {
        setCommandByte(t, 0x34).in(STATUS, { is: status.system, mask: status.system });
        setCommandByte(t, 0x30).in(STATUS, { is: 0, mask: status.system });
      },
      notQemu: "takes no notice of it",
    },
    {
      name: "status bit 3: the last write was a command",
      steps: (t) => {
        command(t, 0x60).in(STATUS, { is: status.command, mask: status.command | status.timeouts });
        data(t, 0x30).in(STATUS, { is: 0, mask: status.command | status.timeouts });
      },
      notQemu: "does otherwise",
    },
    {
      name: "AD and AE, A7 and A8: the lines off and on",
      steps: (t) => {
        command(t, 0xae);
        gives(command(t, 0x20), 0x20);
        command(t, 0xa8);
        gives(command(t, 0x20), 0x00);
        command(t, 0xad);
        gives(command(t, 0x20), 0x10);
        command(t, 0xa7);
        gives(command(t, 0x20), 0x30);
      },
    },
    {
      name: "D2: a byte as if from the keyboard, with its interrupt",
      steps: (t) => {
        setCommandByte(t, 0x31);
        data(command(t, 0xd2), 0x5a);
        full(t)
          .in(STATUS, { is: 0, mask: status.mouse })
          .interrupt(KEYBOARD_VECTOR)
          .out(0x20, 0x20)
          .in(DATA, 0x5a)
          .none();
        t.in(STATUS, { is: 0, mask: status.output });
      },
      notQemu: "does otherwise",
    },
    {
      name: "D3: a byte as if from the mouse, with its interrupt",
      steps: (t) => {
        setCommandByte(t, 0x32);
        data(command(t, 0xd3), 0xa5);
        full(t).in(STATUS, { is: status.mouse, mask: status.mouse }).interrupt(MOUSE_VECTOR);
        t.out(0xa0, 0x20).out(0x20, 0x20).in(DATA, 0xa5).none().in(STATUS, { is: 0, mask: status.output });
      },
    },
    {
      name: "no interrupt that the command byte does not allow; one as soon as it does",
      steps: (t) => {
        data(command(t, 0xd2), 0x11);
        full(t).none().in(DATA, 0x11);
        setCommandByte(t, 0x31);
        data(command(t, 0xd2), 0x22);
        full(t).interrupt(KEYBOARD_VECTOR).out(0x20, 0x20).in(DATA, 0x22);
      },
      notQemu: "does otherwise",
    },
    {
      name: "D0 and D1, the output port: the gate and the reset line are high, bits 4 and 5 say who is heard",
      steps: (t) => {
        data(command(t, 0xd1), 0x03);
        full(command(t, 0xd0)).in(DATA, { is: 3, mask: 3 });
      },
    },
    {
      name: "A4: no password",
      steps: (t) => {
        gives(command(t, 0xa4), 0xf1);
      },
      notQemu: "does not know it",
    },
    {
      name: "keyboard: FF, reset",
      steps: (t) => {
        key(command(t, 0xae), 0xff, ACK, 0xaa);
      },
    },
    {
      name: "keyboard: EE, echo; F2, identity; F4, F5, F6",
      steps: (t) => {
        key(t, 0xee, 0xee);
        key(t, 0xf2, ACK, 0xab, 0x83);
        for (const value of [0xf4, 0xf6, 0xf5, 0xf4]) key(t, value, ACK);
      },
    },
    {
      name: "20 while the keyboard's answer waits: the command byte comes behind what is there, before the rest",
      steps: (t) => {
        command(t, 0xae);
        full(data(t, 0xf2));
        gives(command(t, 0x20), ACK, 0x20, 0xab, 0x83);
      },
    },
    {
      name: "keyboard: ED and F3 with their options",
      steps: (t) => {
        key(t, 0xed, ACK);
        key(t, 0x07, ACK);
        key(t, 0xed, ACK);
        key(t, 0x00, ACK);
        key(t, 0xf3, ACK);
        key(t, 0x2b, ACK);
      },
    },
    {
      name: "keyboard: F0, scan code sets",
      steps: (t) => {
        for (const set of [1, 3, 2]) {
          key(t, 0xf0, ACK);
          key(t, set, ACK);
          key(t, 0xf0, ACK);
          key(t, 0x00, ACK, set);
        }
      },
    },
    {
      name: "keyboard: FE, what it said last",
      steps: (t) => {
        key(t, 0xee, 0xee);
        key(t, 0xfe, 0xee);
      },
      notQemu: "does not repeat",
    },
    {
      name: "keyboard: an unknown command is answered by FE",
      steps: (t) => {
        key(t, 0xf1, RESEND);
      },
    },
    {
      name: "keyboard: its interrupt for each byte",
      steps: (t) => {
        setCommandByte(t, 0x21);
        data(t, 0xf2);
        for (const byte of [ACK, 0xab, 0x83]) t.wait(WAIT, KEYBOARD_VECTOR).out(0x20, 0x20).in(DATA, byte);
        t.none();
      },
    },
    {
      name: "keyboard: translation to set 1 changes what its identity looks like",
      steps: (t) => {
        setCommandByte(t, 0x60);
        key(t, 0xf2, ACK, 0xab, 0x41);
      },
    },
    {
      name: "keyboard: nothing is taken while its line is off",
      steps: (t) => {
        key(t, 0xf4, ACK);
        data(t, 0xee);
        command(t, 0xad);
        t.in(DATA, 0xee); // that one was there before
        t.in(STATUS, { is: 0, mask: status.output });
      },
    },
    {
      name: "mouse: FF, reset",
      steps: (t) => mouse(t, 0xff, ACK, 0xaa, 0x00),
    },
    {
      name: "mouse: F2, identity; F4 and F5; E9, status",
      steps: (t) => {
        mouse(t, 0xf6, ACK);
        mouse(t, 0xf2, ACK, 0);
        mouse(t, 0xe9, ACK, 0x00, 0x02, 100);
        mouse(t, 0xf4, ACK);
        mouse(t, 0xe9, ACK, 0x20, 0x02, 100);
        mouse(t, 0xf5, ACK);
        mouse(t, 0xe7, ACK);
        mouse(t, 0xe9, ACK, 0x10, 0x02, 100);
        mouse(t, 0xe6, ACK);
      },
    },
    {
      name: "mouse: E8 and F3 with their options",
      steps: (t) => {
        mouse(t, 0xe8, ACK);
        mouse(t, 3, ACK);
        mouse(t, 0xf3, ACK);
        mouse(t, 200, ACK);
        mouse(t, 0xe9, ACK, 0x00, 0x03, 200);
        mouse(t, 0xf6, ACK);
        mouse(t, 0xe9, ACK, 0x00, 0x02, 100);
      },
    },
    {
      name: "mouse: remote mode, and EB, a report",
      steps: (t) => {
        mouse(t, 0xf0, ACK);
        mouse(t, 0xeb, ACK, 0x08, 0, 0);
        mouse(t, 0xe9, ACK, 0x40, 0x02, 100);
        mouse(t, 0xea, ACK);
      },
    },
    {
      name: "mouse: EE, wrap mode, until EC",
      steps: (t) => {
        mouse(t, 0xee, ACK);
        mouse(t, 0x12, 0x12);
        mouse(t, 0xf2, 0xf2);
        mouse(t, 0xec, ACK);
        mouse(t, 0xf2, ACK, 0);
      },
    },
    {
      name: "mouse: what is invalid is asked for again, then refused",
      steps: (t) => {
        mouse(t, 0xe0, RESEND);
        mouse(t, 0xe0, 0xfc);
      },
      notQemu: "takes no notice of it",
    },
    {
      name: "mouse: its interrupt for each byte",
      steps: (t) => {
        setCommandByte(t, 0x12);
        data(command(t, 0xd4), 0xf2);
        for (const byte of [ACK, 0])
          t.wait(WAIT, MOUSE_VECTOR)
            .out(0xa0, 0x20)
            .out(0x20, 0x20)
            .in(STATUS, { is: 0x20, mask: 0x20 })
            .in(DATA, byte);
        t.none();
      },
    },
  ],
};
