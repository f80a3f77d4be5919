// The 8259A pair: Intel 8259A data sheet (231468), by its headings, and the edge/level control registers of Intel ICH9,
// 13.4.9. Lines are driven by the test device, whose falls reach an 8259 late: hence the pauses.

import { NONE } from "./image.js";
import type { Script, Table } from "./script.js";

const [master, masterData, slave, slaveData] = [0x20, 0x21, 0xa0, 0xa1];
const [ELCR1, ELCR2] = [0x4d0, 0x4d1];
const LINES = 0x2000;
const EOI = 0x20;
const [READ_IRR, READ_ISR, POLL] = [0x0a, 0x0b, 0x0c];

const raise = (t: Script, ...lines: number[]) => {
  for (const line of lines) t.out(LINES + line, 1);
};
const lower = (t: Script, ...lines: number[]) => {
  for (const line of lines) t.out(LINES + line, 0);
  t.delay(20);
};
const initialise = (t: Script, icw4 = 1, slaveIcw4 = 1) => {
  t.out(master, 0x11).out(masterData, 0x20).out(masterData, 4).out(masterData, icw4);
  t.out(slave, 0x11).out(slaveData, 0x28).out(slaveData, 2).out(slaveData, slaveIcw4);
};
const isr = (t: Script, is: number, chip = master) => t.out(chip, READ_ISR).in(chip, is);
const irr = (t: Script, is: number, chip = master) => t.out(chip, READ_IRR).in(chip, { is, mask: 0xfe });

export const pic: Table = {
  device: "8259A pair",
  document: "Intel 8259A data sheet (231468)",
  before: (t) => {
    t.out(0x43, 0x32).out(0x40, 0).out(0x40, 0); // the 8254's channel 0 waits for a trigger that never comes
    t.out(ELCR1, 0).out(ELCR2, 0);
    lower(t, 3, 5, 6, 7, 9, 10, 11, 14, 15);
    initialise(t);
  },
  cases: [
    {
      name: "ICW1 clears the IMR, and reading is of the IRR",
      steps: (t) => {
        t.out(masterData, 0xff).out(slaveData, 0x55).out(master, READ_ISR).out(slave, READ_ISR);
        initialise(t);
        t.in(masterData, 0).in(slaveData, 0);
        t.out(slaveData, 0xff);
        raise(t, 5, 11);
        t.in(master, { is: 0x20, mask: 0xfe }).in(slave, 0x08);
      },
    },
    {
      name: "ICW1: an input that is high before needs another edge",
      steps: (t) => {
        t.out(masterData, 0xff);
        raise(t, 5);
        initialise(t);
        irr(t, 0);
        t.none();
        lower(t, 5);
        raise(t, 5);
        t.interrupt(0x25);
      },
    },
    {
      name: "ICW2: T7-T3 of the vector, the rest is the input",
      steps: (t) => {
        t.out(master, 0x11).out(masterData, 0x47).out(masterData, 4).out(masterData, 1);
        raise(t, 5);
        t.interrupt(0x45);
      },
    },
    {
      name: "ICW1 SNGL: there is no ICW3",
      steps: (t) => {
        t.out(master, 0x13)
          .out(masterData, 0x30)
          .out(masterData, 1)
          .out(masterData, 0x5a)
          .in(masterData, 0x5a);
        t.out(masterData, 0);
        raise(t, 6);
        t.interrupt(0x36);
      },
    },
    {
      name: "ICW1 without IC4: there is no ICW4",
      steps: (t) => {
        t.out(master, 0x10)
          .out(masterData, 0x30)
          .out(masterData, 4)
          .out(masterData, 0xa7)
          .in(masterData, 0xa7);
      },
    },
    {
      name: "OCW1 reads back",
      steps: (t) => {
        for (const value of [0, 0xff, 0xa5, 0x5a])
          t.out(masterData, value)
            .out(slaveData, value ^ 0xff)
            .in(masterData, value)
            .in(slaveData, value ^ 0xff);
        t.out(master, READ_ISR).in(masterData, 0x5a);
      },
    },
    {
      name: "OCW1: a masked request waits in the IRR",
      steps: (t) => {
        t.out(masterData, 0x20);
        raise(t, 5);
        irr(t, 0x20);
        t.none().out(masterData, 0).interrupt(0x25);
        irr(t, 0);
        isr(t, 0x20);
      },
    },
    {
      name: "OCW3: which register is read stays until the next OCW3 says otherwise",
      steps: (t) => {
        raise(t, 5);
        t.interrupt(0x25)
          .out(master, READ_ISR)
          .in(master, 0x20)
          .in(master, 0x20)
          .out(master, 0x08)
          .in(master, 0x20);
        t.out(master, READ_IRR).in(master, { is: 0, mask: 0xfe }).in(master, { is: 0, mask: 0xfe });
      },
    },
    {
      name: "edge triggered: one edge, one interrupt",
      steps: (t) => {
        raise(t, 5);
        t.interrupt(0x25).out(master, EOI);
        isr(t, 0);
        t.none();
        raise(t, 5); // it is high already
        t.none();
        lower(t, 5);
        t.none();
        raise(t, 5);
        t.interrupt(0x25);
      },
    },
    {
      name: "fully nested: lower and equal wait for the EOI",
      steps: (t) => {
        raise(t, 5);
        t.interrupt(0x25);
        lower(t, 5);
        raise(t, 5, 6);
        irr(t, 0x60);
        t.none().out(master, EOI).interrupt(0x25).none().out(master, EOI).interrupt(0x26);
      },
    },
    {
      name: "fully nested: the higher is let in, and the non-specific EOI is the highest one's",
      steps: (t) => {
        raise(t, 6);
        t.interrupt(0x26);
        raise(t, 3);
        t.interrupt(0x23);
        isr(t, 0x48);
        t.out(master, EOI);
        isr(t, 0x40);
        t.out(master, EOI);
        isr(t, 0);
      },
    },
    {
      name: "priorities: the lowest number first",
      steps: (t) => {
        t.out(masterData, 0xff);
        raise(t, 7, 3, 15, 9);
        t.out(masterData, 0).interrupt(0x29).out(slave, EOI).out(master, EOI).interrupt(0x2f);
        t.out(slave, EOI).out(master, EOI).interrupt(0x23).out(master, EOI).interrupt(0x27);
      },
    },
    {
      name: "specific EOI",
      steps: (t) => {
        raise(t, 6);
        t.interrupt(0x26);
        raise(t, 3);
        t.interrupt(0x23).out(master, 0x66);
        isr(t, 0x08);
        t.out(master, 0x63);
        isr(t, 0);
      },
    },
    {
      name: "rotation on non-specific EOI: who was served becomes the lowest",
      steps: (t) => {
        raise(t, 5);
        t.interrupt(0x25).out(master, 0xa0).out(masterData, 0xff);
        raise(t, 3, 6);
        t.out(masterData, 0).interrupt(0x26).out(master, EOI).interrupt(0x23);
      },
    },
    {
      name: "rotation on specific EOI",
      steps: (t) => {
        raise(t, 5);
        t.interrupt(0x25).out(master, 0xe5).out(masterData, 0xff);
        isr(t, 0);
        raise(t, 3, 7);
        t.out(masterData, 0).interrupt(0x27);
      },
    },
    {
      name: "set priority: the named input is the lowest",
      steps: (t) => {
        t.out(master, 0xc4).out(masterData, 0xff);
        raise(t, 3, 5);
        t.out(masterData, 0)
          .interrupt(0x25)
          .none()
          .out(master, EOI)
          .interrupt(0x23)
          .out(master, EOI)
          .out(master, 0xc7);
        t.out(masterData, 0xff);
        lower(t, 3, 5);
        raise(t, 3, 5);
        t.out(masterData, 0).interrupt(0x23);
      },
    },
    {
      name: "OCW2 010: no operation",
      steps: (t) => {
        raise(t, 5);
        t.interrupt(0x25).out(master, 0x45);
        isr(t, 0x20);
      },
    },
    {
      name: "automatic EOI: nothing stays in service",
      steps: (t) => {
        initialise(t, 3);
        raise(t, 3);
        t.interrupt(0x23);
        isr(t, 0);
        raise(t, 6);
        t.interrupt(0x26);
      },
    },
    {
      name: "automatic EOI with two requests waiting: both come",
      steps: (t) => {
        initialise(t, 3);
        raise(t, 6, 3);
        t.interrupt(0x23).interrupt(0x26).none();
      },
    },
    {
      name: "rotation in automatic EOI mode, set and cleared",
      steps: (t) => {
        initialise(t, 3);
        t.out(master, 0x80);
        raise(t, 5);
        t.interrupt(0x25).out(masterData, 0xff);
        raise(t, 3, 6);
        t.out(masterData, 0)
          .interrupt(0x26)
          .interrupt(0x23)
          .none()
          .out(master, 0x00)
          .out(master, 0xc7)
          .out(masterData, 0xff);
        lower(t, 3, 5, 6);
        raise(t, 3, 6);
        t.out(masterData, 0).interrupt(0x23).out(masterData, 0xff);
        lower(t, 3);
        raise(t, 3);
        t.out(masterData, 0).interrupt(0x23).interrupt(0x26);
      },
    },
    {
      name: "special mask mode: a masked input in service holds off nobody",
      steps: (t) => {
        raise(t, 5);
        t.interrupt(0x25);
        raise(t, 6);
        t.none().out(masterData, 0x20).none().out(master, 0x68).interrupt(0x26);
        isr(t, 0x60);
      },
      notQemu: "does not look again when the mode begins",
    },
    {
      name: "special mask mode: a non-specific EOI does not clear a masked IS bit",
      steps: (t) => {
        raise(t, 5);
        t.interrupt(0x25).out(masterData, 0x20).out(master, 0x68);
        raise(t, 6);
        t.interrupt(0x26).out(master, EOI);
        isr(t, 0x20);
        t.out(master, EOI);
        isr(t, 0x20);
        t.out(master, 0x48).out(master, EOI);
        isr(t, 0);
      },
      notQemu: "clears the highest IS bit, masked or not",
    },
    {
      name: "OCW3 with ESMM 0 leaves special mask mode as it is",
      steps: (t) => {
        t.out(master, 0x68).out(master, 0x0a).out(master, 0x2a);
        raise(t, 5);
        t.interrupt(0x25).out(masterData, 0x20).out(master, 0x28);
        raise(t, 6);
        t.interrupt(0x26);
      },
    },
    {
      name: "poll: the next read is an INTA",
      steps: (t) => {
        raise(t, 5);
        t.out(master, POLL).in(master, 0x85);
        isr(t, 0x20);
        irr(t, 0);
        t.out(master, EOI).none().out(master, POLL).in(master, { is: 0, mask: 0x80 });
        isr(t, 0);
      },
    },
    {
      name: "poll: of both chips, one after the other",
      steps: (t) => {
        raise(t, 10);
        t.out(master, POLL).in(master, 0x82).out(slave, POLL).in(slave, 0x82);
        isr(t, 4);
        isr(t, 4, slave);
        t.out(slave, EOI).out(master, EOI).none();
        isr(t, 0);
      },
    },
    {
      name: "poll comes before the register that the same OCW3 chooses",
      steps: (t) => {
        raise(t, 5);
        t.out(master, POLL | 3)
          .in(master, 0x85)
          .in(master, 0x20);
      },
    },
    {
      name: "cascade: both chips have it in service, and both want an EOI",
      steps: (t) => {
        raise(t, 10);
        t.interrupt(0x2a);
        isr(t, 4);
        isr(t, 4, slave);
        raise(t, 3);
        t.none();
        raise(t, 9);
        t.none().out(slave, EOI).none().out(master, EOI).interrupt(0x29);
      },
    },
    {
      name: "special fully nested: the slave's higher request is let in",
      steps: (t) => {
        initialise(t, 0x11);
        raise(t, 11);
        t.interrupt(0x2b);
        raise(t, 9);
        t.interrupt(0x29);
        isr(t, 0x0a, slave);
        raise(t, 10);
        t.none().out(slave, EOI).interrupt(0x2a);
      },
    },
    {
      name: "ELCR: the timer's, keyboard's, cascade's, clock's and coprocessor's inputs have no bit",
      steps: (t) => {
        t.out(ELCR1, 0xff).out(ELCR2, 0xff).in(ELCR1, 0xf8).in(ELCR2, 0xde);
        t.out(ELCR1, 0).out(ELCR2, 0).in(ELCR1, 0).in(ELCR2, 0);
      },
    },
    {
      name: "ELCR: level triggered asks as long as the line does",
      steps: (t) => {
        t.out(ELCR1, 0x20);
        raise(t, 5);
        t.interrupt(0x25);
        irr(t, 0x20);
        t.none().out(master, EOI).interrupt(0x25);
        lower(t, 5);
        irr(t, 0);
        t.out(master, EOI).none();
      },
    },
    {
      name: "ELCR: level triggered, gone before INTA, asks no more",
      steps: (t) => {
        t.out(ELCR2, 0x08);
        raise(t, 11);
        lower(t, 11);
        t.none();
        irr(t, 0, slave);
      },
      notQemu: "keeps the master's IR2",
    },
    {
      name: "a slave's request goes away when its input is masked",
      steps: (t) => {
        raise(t, 10);
        t.out(slaveData, 0x04);
        irr(t, 4, slave);
        t.none().out(slaveData, 0).interrupt(0x2a);
      },
      notQemu: "keeps the master's IR2",
    },
    {
      name: "a master whose ICW3 knows no slave gives the vector of IR2 itself",
      steps: (t) => {
        t.out(master, 0x11).out(masterData, 0x20).out(masterData, 0).out(masterData, 1);
        raise(t, 10);
        t.interrupt(0x22);
        isr(t, 4);
        isr(t, 0, slave);
      },
      notQemu: "does not look at ICW3",
    },
    {
      name: "a word is two bytes, the lower port first",
      steps: (t) => {
        t.out(masterData, 0x5a).in(master, { is: 0x5a00, mask: 0xff00 }, 2).in(masterData, 0xff5a, 2);
        t.out(masterData, 0xff33, 2).in(masterData, 0x33);
      },
      notQemu: "does not go on to the next port",
    },
    {
      name: "interrupts are NONE when everything is masked",
      steps: (t) => {
        t.out(masterData, 0xff).out(slaveData, 0xff);
        raise(t, 3, 5, 10);
        t.interrupt(NONE);
        irr(t, 0x28); // the slave is quiet, so IR2 is low
      },
    },
  ],
};
