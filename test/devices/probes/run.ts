// node dist/test/devices/probes/run.js [DEVICE...]: what is wrong on our machine, and what on QEMU.

import { tables } from "./index.js";
import { onOurs, onQemu } from "./script.js";

const wanted = process.argv.slice(2).map((word) => word.toLowerCase());
for (const whole of tables) {
  if (wanted.length > 0 && !wanted.some((word) => whole.device.toLowerCase().includes(word))) continue;
  const cases = whole.cases.filter(({ name }) => name.includes(process.env.CASE ?? ""));
  if (cases.length === 0) continue;
  const table = { ...whole, cases };
  const { problems, reports } = await onOurs(table);
  const theirs =
    process.env.OURS || table.notQemu ? [] : await onQemu(table).catch((error: Error) => [error.message]);
  console.log(`${table.device}: ${table.cases.length} cases`);
  for (const [index, { name, notQemu }] of table.cases.entries()) {
    if (problems[index] !== "") console.log(`  OURS  ${name}: ${problems[index]}`);
    if ((theirs[index] ?? "") !== "")
      console.log(`  qemu${notQemu === undefined ? "" : " (known)"}  ${name}: ${theirs[index]}`);
    else if (notQemu !== undefined && theirs.length > 0) console.log(`  qemu is right after all: ${name}`);
  }
  if (process.env.REPORTS) for (const report of reports) console.log(`  ${report}`);
}
