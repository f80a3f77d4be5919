// What the guest program `history` prints, as operations that linearizability.ts can judge.
import type { Answer, Call, Operation } from "./linearizability.js";

export type History = Operation<Call, Answer>[];

const LINE = /history: (\d+) (\w+) (\d+) (\d+) = (\w+) at (\d+) (\d+)$/;

export function historyOf(lines: readonly string[]): History {
  return lines.flatMap((line) => {
    const match = LINE.exec(line);
    if (match === null) return [];
    const [by, , first, second, , invoked, returned] = match.slice(1).map(Number) as number[];
    const call = { name: match[2]!, first: first!, second: second! };
    const result = match[5] === "no" ? null : Number(match[5]);
    return [{ call, result, invoked: invoked!, returned: returned!, by: by! }];
  });
}
