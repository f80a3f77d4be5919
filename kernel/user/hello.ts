// The first program: who am I, how many of us are there, and what was I told.
import { argument, argumentCount, cores, decimal, node, nodes, programStart, text, textAt } from "./libuser";

export function start(stack: u64): void {
  programStart(stack);
  text("hello from machine ");
  decimal(u64(node()));
  text(" of ");
  decimal(u64(nodes()));
  text(", cores ");
  decimal(u64(cores()));
  for (let i: u32 = 1; i < argumentCount(); i++) {
    text(" ");
    textAt(argument(i));
  }
  text("\n");
}
