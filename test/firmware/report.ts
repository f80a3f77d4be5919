// Reads what the probe (probe.ts) printed.

export interface Report {
  banner: string | undefined;
  start: { magic: number; version: number; modules: number };
  commandLine: string | undefined;
  module: { address: number; bytes: number; text: string } | undefined;
  cleared: number;
  data: number;
  ranges: { start: number; bytes: number; type: number }[];
  rsdp: { address: number; sums: number[] };
  tables: { signature: string; sum: number }[];
  functions: { device: number; identity: number; command: number; bars: number[] }[];
  done: boolean;
}

const hex = (text: string | undefined) => Number.parseInt(text ?? "", 16);

export function read(console: string): Report {
  const lines = console.split("\r\n");
  const line = (start: string) => lines.find((text) => text.startsWith(start))?.slice(start.length);
  const every = (start: string) =>
    lines.filter((text) => text.startsWith(start)).map((text) => text.slice(start.length).split(" "));
  const [, magic, version, modules] = /(\w+) version (\w+) modules (\w+)/.exec(line("magic ") ?? "") ?? [];
  const [, cleared, data] = /(\w+) data (\w+)/.exec(line("cleared ") ?? "") ?? [];
  const [, at, bytes, text] = /^(\w+) (\w+) (.*)$/s.exec(line("module ") ?? "") ?? [];
  const [root, , ...sums] = (line("rsdp ") ?? "").split(" ");
  return {
    banner: lines.find((other) => other.startsWith("Buslock firmware")),
    start: { magic: hex(magic), version: hex(version), modules: hex(modules) },
    commandLine: line("command line "),
    module: text === undefined ? undefined : { address: hex(at), bytes: hex(bytes), text },
    cleared: hex(cleared),
    data: hex(data),
    ranges: every("range ").map(([start, length, type]) => ({
      start: hex(start),
      bytes: hex(length),
      type: hex(type),
    })),
    rsdp: { address: hex(root), sums: sums.map(hex) },
    tables: every("table ").map(([signature, total]) => ({ signature, sum: hex(total) })),
    functions: every("function ").map(([slot, identity, command, ...bars]) => ({
      device: (hex(slot) >>> 11) & 31,
      identity: hex(identity),
      command: hex(command),
      bars: bars.map(hex),
    })),
    done: lines.includes("done"),
  };
}
