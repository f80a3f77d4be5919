// How soon V8 optimizes what the processes of a live cluster run.
import { setFlagsFromString } from "node:v8";

/**
 * V8's profiler counts so many bytes of a function's bytecode before it looks at it again; its own number is 67,584. What a machine
 * does for a frame is some hundred functions, each called a time or two: with that number they would be interpreted for seconds,
 * and a page from another machine take half as long again meanwhile.
 */
const INTERRUPT_BUDGET = 6000;
/** A guest that boots and joins its cluster is there sooner with V8's own number: it has had these by then. */
const FRAMES_OF_JOINING = 200;

let frames = 0;

/** From now on, for all threads of the process. */
export function tierUpSoon(): void {
  setFlagsFromString(`--interrupt-budget=${INTERRUPT_BUDGET}`);
}

/** A frame has come to the machine. */
export function frameCame(): void {
  if (++frames === FRAMES_OF_JOINING) tierUpSoon();
}
