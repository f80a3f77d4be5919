// The firmware configuration device: QEMU's specification "QEMU Firmware Configuration (fw_cfg) Device", by its headings.
// The machine of the probe has one core and 32 MiB.

import type { Expected, Script, Table } from "./script.js";

const [SELECTOR, DATA, DMA_HIGH, DMA_LOW] = [0x510, 0x511, 0x514, 0x518];
const item = {
  signature: 0,
  id: 1,
  ramSize: 3,
  cores: 5,
  maxCores: 15,
  directory: 0x19,
  none: 0x3eee,
} as const;
const control = { error: 1, read: 2, skip: 4, select: 8, write: 16 } as const;
const COMMAND = 0x40_0000;
const BUFFER = 0x40_1000;
const big = (value: number) =>
  (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
const FILES = 6;
const ENTRY = 64;

const select = (t: Script, selector: number) => t.out(SELECTOR, selector, 2);
const bytes = (t: Script, ...expected: Expected[]) => {
  for (const byte of expected) t.in(DATA, byte);
  return t;
};
const ascii = (text: string) => [...Buffer.from(text)];
/** A DMA command; the control word afterwards is read. */
const dma = (
  t: Script,
  bits: number,
  selector: number,
  length: number,
  address: number,
  end: number,
  high = 0,
) => {
  t.write(COMMAND, big(((selector << 16) | bits) >>> 0)).write(COMMAND + 4, big(length));
  t.write(COMMAND + 8, big(high)).write(COMMAND + 12, big(address));
  return t.out(DMA_HIGH, 0, 4).out(DMA_LOW, big(COMMAND), 4).read(COMMAND, big(end));
};

export const fwCfg: Table = {
  device: "fw_cfg",
  document: "QEMU Firmware Configuration (fw_cfg) Device",
  cases: [
    {
      name: "signature: QEMU, and zeros behind the end",
      steps: (t) => void bytes(select(t, item.signature), ...ascii("QEMU"), 0, 0, 0),
    },
    {
      name: "revision: the traditional interface and DMA",
      steps: (t) => void bytes(select(t, item.id), 3, 0, 0, 0),
    },
    {
      name: "selecting begins at the start again",
      steps: (t) => {
        bytes(select(t, item.signature), ...ascii("QE"));
        bytes(select(t, item.signature), ...ascii("QEM"));
      },
    },
    {
      name: "cores and RAM, little endian",
      steps: (t) => {
        bytes(select(t, item.cores), 1, 0);
        bytes(select(t, item.maxCores), 1, 0);
        bytes(select(t, item.ramSize), 0, 0, 0, 2, 0, 0, 0, 0);
      },
    },
    {
      name: "an item that is not there is empty",
      steps: (t) => {
        bytes(select(t, item.none), 0, 0, 0);
        bytes(select(t, 0x8000 | item.none), 0, 0);
      },
    },
    {
      name: "selector bit 14 asks to write: the item is the same",
      steps: (t) => void bytes(select(t, 0x4000 | item.signature), ...ascii("QEMU")),
    },
    {
      name: "data written to the port are ignored",
      steps: (t) => {
        select(t, item.signature).out(DATA, 0x55).out(DATA, 0x55);
        bytes(select(t, item.signature), ...ascii("QEMU"));
      },
    },
    {
      name: "the file directory: a count and entries, big endian, by name",
      steps: (t) => {
        select(t, item.directory);
        const readings = 4 + ENTRY * FILES;
        for (let at = 0; at < readings - 1; at++) t.in(DATA);
        t.in(DATA, {
          rule: "an ordered directory",
          holds: (_, before) => {
            const all = Buffer.from(before);
            const names = Array.from({ length: FILES - 1 }, (_, file) => {
              const entry = all.subarray(4 + ENTRY * file, 4 + ENTRY * (file + 1));
              const name = entry.toString("latin1", 8).split("\0")[0]!;
              return { name, select: entry.readUInt16BE(4), bytes: entry.readUInt32BE(0) };
            });
            const sorted = names.map(({ name }) => name).sort();
            return (
              all.readUInt32BE(0) >= FILES - 1 &&
              names.every(({ name, select }, at) => name === sorted[at] && name.length > 3 && select >= 0x20)
            );
          },
        });
      },
    },
    {
      name: "DMA: the address register reads as QEMU CFG",
      steps: (t) => void t.in(DMA_HIGH, 0x554d_4551, 4).in(DMA_LOW, 0x4746_4320, 4),
    },
    {
      name: "DMA: select and read, with zeros behind the end",
      steps: (t) => {
        t.write8(BUFFER, 0xffff_ffff, 0xffff_ffff);
        dma(t, control.select | control.read, item.signature, 6, BUFFER, 0).read8(
          BUFFER,
          0x554d_4551,
          0xffff_0000,
        );
      },
    },
    {
      name: "DMA: it goes on where reading has come to, and reading where it has",
      steps: (t) => {
        bytes(select(t, item.signature), ...ascii("Q"));
        t.write(BUFFER, 0);
        dma(t, control.read, 0, 2, BUFFER, 0).read(BUFFER, 0x4d45);
        bytes(t, ...ascii("U"), 0);
      },
    },
    {
      name: "DMA: skip",
      steps: (t) => {
        dma(t, control.select | control.skip, item.signature, 3, 0, 0);
        bytes(t, ...ascii("U"));
      },
    },
    {
      name: "DMA: nothing to do is done",
      steps: (t) => {
        dma(t, control.select, item.signature, 0, 0, 0);
        bytes(t, ...ascii("QEMU"));
        dma(t, control.read, 0, 0, BUFFER, 0);
      },
    },
    {
      name: "DMA: what is not RAM is an error",
      steps: (t) => void dma(t, control.select | control.read, item.signature, 4, 0, control.error, 0x1_0000),
    },
    {
      name: "DMA: an item that cannot be written is an error",
      steps: (t) => void dma(t, control.select | control.write, item.signature, 4, BUFFER, control.error),
    },
  ],
};
