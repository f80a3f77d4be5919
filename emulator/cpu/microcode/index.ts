// The microcode: what a core does that is too long for a row of generated code. Every function takes the wasm address
// of a core block and u64 arguments and gives a u64; a fault stands in FAULT_VECTOR afterwards, and nothing of the
// instruction is committed then. Compiled by asc (build-microcode.ts) into a module without data of its own, which
// imports the machine's memory and the functions in host.ts.

export { linear, loadSlow, loadSlow16, probeRead, probeWrite, storeSlow, storeSlow16 } from "./access";
export { swapgs, syscall, sysenter, sysexit, sysret } from "./calls";
export {
  accessKeys,
  clearTaskSwitched,
  halt,
  invalidate,
  invalidateContext,
  loadStatusWord,
  readControl,
  readDebug,
  readSegmentBase,
  writeControl,
  writeDebug,
  writeSegmentBase,
} from "./control";
export { cpuidLower, cpuidUpper } from "./cpuid";
export { codeBreakpoint } from "./debug";
export { debugTrap, deliver, interrupt, overflowInterrupt, softwareInterrupt } from "./events";
export { farCall, farJump, farReturn, iret } from "./far";
export {
  float32,
  float32ToInteger,
  float64,
  float64ToInteger,
  floatCommit,
  floatNarrow,
  floatRelation32,
  floatRelation64,
  floatRound32,
  floatRound64,
  floatWiden,
  integerToFloat32,
  integerToFloat64,
} from "./float";
export {
  enterMmx,
  fnclex,
  fninit,
  fxrstor,
  fxsave,
  readFpuControl,
  readFpuStatus,
  waitFpu,
  writeFpuControl,
} from "./fpu-state";
export { monitor, mwait } from "./monitor";
export { rdtsc, readMsr, readTscAux, writeMsr } from "./msr";
export { countersDue, rdpmc } from "./performance";
export { hostAt } from "./physical";
export { portCheck, portIn, portOut } from "./ports";
export { random } from "./random";
export { reset, startup } from "./reset";
export {
  checkUserMode,
  lar,
  loadGdtr,
  loadIdtr,
  loadLdtr,
  loadSegment,
  loadTr,
  lsl,
  readSelector,
  storeTable,
  verr,
  verw,
} from "./segments";
export { drainStores } from "./store-buffer";
export { compareStrings, compareText } from "./text";
export { flushTlb } from "./tlb";
export { translate } from "./translation";
export { virtualFlag, virtualImages, virtualPop } from "./virtual";
export {
  x87Arithmetic,
  x87Check,
  x87Compare,
  x87Constant,
  x87Copy,
  x87DecimalHigh,
  x87Examine,
  x87Exchange,
  x87Function,
  x87FunctionOfTwo,
  x87High,
  x87Load,
  x87LoadDecimal,
  x87LoadEnvironment,
  x87Move,
  x87Restore,
  x87Save,
  x87Stack,
  x87Store,
  x87StoreDecimal,
  x87StoreEnvironment,
  x87Stores,
  x87Test,
  x87Unary,
} from "./x87";
export { xgetbv, xrstor, xsave, xsetbv } from "./xsave";
