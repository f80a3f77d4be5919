// Entry for the unit tests in Node: the kernel's pure modules as one .wasm (dist/kernel/unit.wasm). Nothing here
// touches a device; imports that a test does not supply throw.
import { Engine, Page } from "./coherence/engine";

export {
  ACT_FAIL,
  ACT_GRANT,
  ACT_REVOKE,
  ACT_SEND,
  ACT_TAKE,
  ACT_WAKE,
  ACTION_BYTES,
  ACTIONS_MAX,
  DATA_DIRTY,
  engineAlive,
  engineAsk,
  engineCreate,
  engineDead,
  engineGone,
  engineMessage,
  enginePeerDied,
  LOCAL_BYTES,
  PAGE_MESSAGE_BYTES,
  PEER_BYTES,
  pageCreate,
  RIGHT_MODIFIED,
  RIGHT_SHARED,
  SAY_ACKNOWLEDGED,
  SAY_CLEAN,
  SAY_FAILURE,
  SAY_FORWARD_READ,
  SAY_FORWARD_WRITE,
  SAY_GET_READ,
  SAY_GET_WRITE,
  SAY_GRANT,
  SAY_INVALIDATE,
  SAY_LOSS,
  SAY_LOSS_KNOWN,
  SAY_PURGE,
  SAY_SURRENDER,
  tableIndex,
  WITH_DATA,
} from "./coherence/engine";
export * from "./coherence/table";
export * from "./unit-core";
export {
  fifoAddress,
  fifoCommit,
  fifoCreate,
  fifoFirst,
  fifoRelease,
  fifoReserve,
  fifoSkip,
  fifoUsed,
} from "./syslink/fifo";
export {
  itemBegin,
  itemEnd,
  itemFind,
  itemPut,
  messageCheck,
  messageReason,
  messageReferences,
  writerBegin,
  writerEnd,
} from "./syslink/message";

/** Where the static data ends: tests place their records from here on. */
export function unitHeap(): usize {
  return __heap_base;
}

// --- What tests need to know of records ---
export function engineRecordBytes(): usize {
  return offsetof<Engine>();
}
export function pageRecordBytes(): usize {
  return offsetof<Page>();
}
/** The part of a page's record that belongs to the engine ends here. */
export function pageProtocolBytes(): usize {
  return offsetof<Page>("frame");
}
export function engineActionCount(engine: Engine): u32 {
  return engine.actionCount;
}
export function engineIllegal(engine: Engine): u32 {
  return (engine.illegalState << 8) | engine.illegalEvent;
}
export function pageState(page: Page): u32 {
  return page.state;
}
export function pageDirectory(page: Page): u32 {
  return page.directory;
}
export function pageOwner(page: Page): u32 {
  return page.owner;
}
export function pageTransaction(page: Page): u32 {
  return page.transaction;
}
