// The instruction behind a page fault on a shared page, where something better is done than to fetch the page: it is carried
// out here on a part of the page (coherence/access.ts, parts.ts), or another machine does it (coherence/locked.ts, operation.ts).
//
// Only instructions of user mode, in 64-bit mode, that are not single-stepped; and only when the address that comes out of
// the decoding is the one that faulted.
import { rdmsr } from "../arch";
import { accessAgain, accessBytes, accessDecode, accessIsXmm, accessPerform } from "../coherence/access";
import { Client, clientCurrent, clientOf } from "../coherence/client";
import { CODE_MAX, Instruction } from "../coherence/instruction";
import { accessCounted, mapsNumber, mayBeParted, partsLock, partUsable } from "../coherence/loans";
import { lockedDecode, lockedRetire } from "../coherence/locked";
import { operationOf } from "../coherence/operation";
import { SharedObject } from "../coherence/pager";
import { chunksOf } from "../coherence/parts";
import { pinsRelease } from "../coherence/progress";
import { TrapFrame } from "../frame";
import { criticalEnter, criticalExit } from "../lwkt/critical";
import { fpuReload, fpuSave, threadCurrent } from "../lwkt/thread";
import { nanoseconds } from "../machine/time";
import { allocate } from "../memory/slab";
import { PAGE, PROT_WRITE } from "./mapping";
import { readUserPart } from "./user-memory";

/** Bit of the error code. */
const ERROR_FETCH: u64 = 16;
const TRAP_FLAG: u64 = 0x100;
const MSR_FS_BASE: u32 = 0xc000_0100;
/** The user's GS base, while the kernel has its own. */
const MSR_KERNEL_GS_BASE: u32 = 0xc000_0102;

/**
 * A fault on the page of which the thread last used a part, on an operand that is in this machine's part: true: the
 * instruction has retired, and nobody was asked. All others go the long way (fault.ts).
 */
export function partedFault(frame: TrapFrame, address: u64): bool {
  const client = clientOf(threadCurrent());
  if (changetype<usize>(client) === 0 || client.partedAt === 0) return false;
  // At offset 0 the operand may begin in the page before; anywhere else the address that faulted is where it begins.
  const offset = u32(address - client.partedAt);
  if (address - client.partedAt >= PAGE || offset === 0 || (frame.error & ERROR_FETCH) !== 0) return false;
  const begun = nanoseconds();
  const l = changetype<Instruction>(client.locked);
  const code0 = l.code0;
  const code1 = l.code1;
  const rip = l.rip;
  if (!instructionRead(frame)) return false;
  const same = frame.rip === rip && l.code0 === code0 && l.code1 === code1;
  if (same && accessAgain(l, frame, address)) {
    if (offset + accessBytes(l) > u32(PAGE)) return false;
    client.touches = chunksOf(offset, accessBytes(l));
  } else client.touches = accessTouches(frame, address);
  const permitted = l.writes === 0 || (client.partedProtection & PROT_WRITE) !== 0;
  return client.touches !== 0 && permitted && carried(client, frame, begun);
}

/** The bytes at RIP, for what follows. False: they are not to be looked at. */
export function instructionRead(frame: TrapFrame): bool {
  // A single step has to see the instruction.
  if ((frame.cs & 3) === 0 || (frame.rflags & TRAP_FLAG) !== 0) return false;
  const client = clientCurrent();
  if (client.locked === 0) client.locked = allocate(offsetof<Instruction>());
  // Not beyond the code's page unless the instruction goes on there.
  return readBytes(client.locked, frame.rip, min<u32>(CODE_MAX, u32(PAGE - (frame.rip & (PAGE - 1)))));
}

function readBytes(instruction: usize, rip: u64, bytes: u32): bool {
  const l = changetype<Instruction>(instruction);
  l.codeBytes = u32(readUserPart(instruction, rip, bytes));
  return l.codeBytes !== 0;
}

/** The code goes on behind the bytes that are here, which have been read now as well. */
function readOn(l: Instruction, frame: TrapFrame): bool {
  if (l.cut === 0 || l.codeBytes === CODE_MAX) return false;
  return readBytes(changetype<usize>(l), frame.rip, CODE_MAX);
}

/** The chunks of the page that the instruction touches, when the kernel can carry it out; else 0. */
export function accessTouches(frame: TrapFrame, address: u64): u64 {
  const l = changetype<Instruction>(clientCurrent().locked);
  l.rip = 0;
  const fs = rdmsr(MSR_FS_BASE);
  const gs = rdmsr(MSR_KERNEL_GS_BASE);
  if (!accessDecode(l, frame, fs, gs) && (!readOn(l, frame) || !accessDecode(l, frame, fs, gs))) return 0;
  const offset = u32(address & (PAGE - 1));
  if (l.address !== address || offset + accessBytes(l) > u32(PAGE)) return 0;
  l.rip = frame.rip;
  return chunksOf(offset, accessBytes(l));
}

/** After accessTouches(): true: the bytes are in this machine's part of the page, and the instruction has retired. */
export function accessCarried(
  client: Client,
  frame: TrapFrame,
  object: SharedObject,
  index: u64,
  va: u64,
  protection: u32,
): bool {
  if (!mayBeParted(object.id, index)) return false;
  const l = changetype<Instruction>(client.locked);
  if (l.writes !== 0 && !(protection & PROT_WRITE)) return false;
  client.partedAt = va;
  client.partedObject = object.id;
  client.partedIndex = index;
  client.partedProtection = protection;
  client.partedMaps = mapsNumber();
  return carried(client, frame, nanoseconds());
}

function carried(client: Client, frame: TrapFrame, begun: u64): bool {
  const l = changetype<Instruction>(client.locked);
  const xmm = accessIsXmm(l);
  // No other thread's registers come between.
  criticalEnter();
  if (xmm) fpuSave();
  partsLock.acquire();
  const part = partUsable(client.partedObject, client.partedIndex, client.touches);
  const usable = changetype<usize>(part) !== 0 && client.partedMaps === mapsNumber();
  if (usable) {
    accessPerform(l, frame, part.frame + usize(l.address & (PAGE - 1)), threadCurrent().fpu);
    accessCounted(part, begun);
  }
  partsLock.release();
  if (xmm && usable) fpuReload();
  criticalExit();
  if (!usable) return false;
  // The thread has got on: what it held for this instruction may go.
  if (client.pinCount !== 0) pinsRelease(client);
  return true;
}

/** The operation (operation.ts) that the instruction is, its operands in the client; 0 = none. */
export function operationAt(frame: TrapFrame, address: u64): u32 {
  const client = clientCurrent();
  const l = changetype<Instruction>(client.locked);
  l.rip = 0; // what was decoded is another meaning now
  const fs = rdmsr(MSR_FS_BASE);
  const gs = rdmsr(MSR_KERNEL_GS_BASE);
  if (!lockedDecode(l, frame, fs, gs) && (!readOn(l, frame) || !lockedDecode(l, frame, fs, gs))) return 0;
  const offset = u32(address & (PAGE - 1));
  if (l.address !== address || offset + (1 << l.log) > u32(PAGE)) return 0;
  client.operand = l.operand;
  client.comparand = l.comparand;
  return operationOf(l.kind, l.log, offset);
}

/** When another machine has done the operation: the instruction is over. */
export function retire(frame: TrapFrame): void {
  const client = clientCurrent();
  if (client.operated !== 0) lockedRetire(changetype<Instruction>(client.locked), frame, client.operand);
  client.operated = 0;
}
