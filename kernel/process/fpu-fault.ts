// Which floating-point exception it was: the x87 status word or MXCSR of the saved image (Intel SDM vol. 1, 8.5, 11.5).
import { fpuSave, threadCurrent } from "../lwkt/thread";
import { FX_MXCSR } from "./lwp";
import { FPE_FLTDIV, FPE_FLTINV, FPE_FLTOVF, FPE_FLTRES, FPE_FLTUND } from "./signal-numbers";

const FX_FCW: usize = 0;
const FX_FSW: usize = 2;

/** si_code of the first unmasked exception. The flags stand in the manual's order: invalid, denormal, zero, ... */
export function floatingPointCode(simd: bool): u32 {
  fpuSave();
  const area = threadCurrent().fpu;
  let raised: u32;
  if (simd) {
    const mxcsr = load<u32>(area + FX_MXCSR);
    raised = mxcsr & ~(mxcsr >> 7);
  } else raised = u32(load<u16>(area + FX_FSW)) & ~u32(load<u16>(area + FX_FCW));
  if (raised & 1) return FPE_FLTINV;
  if (raised & 4) return FPE_FLTDIV;
  if (raised & 8) return FPE_FLTOVF;
  if (raised & 18) return FPE_FLTUND; // denormal operand, underflow
  return FPE_FLTRES;
}
