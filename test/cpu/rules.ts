// The rules of exceptions, checks, interrupts, time and memory order that software may rely on: each with the chapter
// that states it and the tests that show it. rules.test.ts sees that every test is there and quotes that chapter.
//
// Chapters are those of Intel's SDM of 2023 (order numbers 253665 to 253669, edition 080: paging is chapter 4 of volume
// 3A, the APIC chapter 11, debugging chapter 18 of volume 3B) and of AMD's APM of 2023 (24592 to 26569, revision 3.4x).

/** A file below test/, without ".test.ts", and the names of tests or groups in it. */
type Shown = readonly [file: string, ...names: string[]];

export interface Rule {
  readonly rule: string;
  readonly manual: string;
  readonly shown: readonly Shown[];
}

const rule = (text: string, manual: string, ...shown: Shown[]): Rule => ({ rule: text, manual, shown });

// biome-ignore format: a table
export const rules: Readonly<Record<string, readonly Rule[]>> = {
  "debug exceptions": [
    rule("TF: a trap after each instruction that began with it", "SDM vol. 3B, 18.3.1.4",
      ["cpu/engine", "TF traps after each instruction with DR6.BS", "POPF that sets TF traps after the next instruction; one that clears it still traps"],
      ["cpu/debug", "single step"]),
    rule("an instruction breakpoint is a fault before its instruction, and RF lets it go on", "SDM vol. 3B, 18.3.1.1",
      ["cpu/system-rows", "an instruction breakpoint comes before its instruction, once with RF set by the handler"],
      ["cpu/debug", "between iterations of a repeated instruction it is pushed as 1, after the last as it is", "a fault pushes it as 1"]),
    rule("a data breakpoint is a trap after the access", "SDM vol. 3B, 18.3.1.2",
      ["cpu/system-rows", "a data breakpoint comes after the access, for writes or for both, by length", "each iteration of a repeated string instruction traps"],
      ["cpu/precedence", "an instruction that faults reports no data breakpoint that it met before (18.3.1.2: a trap)"]),
    rule("LEN covers low address bits; any byte of an access counts", "SDM vol. 3B, 18.2.5", ["cpu/precedence", "what a data breakpoint matches (SDM vol. 3B, 18.2.5)"]),
    rule("I/O breakpoints, with CR4.DE", "SDM vol. 3B, 18.3.1.2",
      ["cpu/system-rows", "ports, with CR4.DE"], ["cpu/precedence", "each byte of the port access counts, and each iteration of OUTS is a trap"]),
    rule("general detect: a fault before the access to a debug register", "SDM vol. 3B, 18.3.1.3",
      ["cpu/system-rows", "DR7.GD guards the debug registers until its handler runs"], ["cpu/debug", "does not hold general detect off: that is a fault, with RF", "only a debug exception lowers DR7.GD, INT 1 does not"]),
    rule("DebugCtl.BTF: single steps from branch to branch", "APM vol. 2, 13.1.4", ["cpu/branch-records", "TF traps after a branch that is taken, and #DB clears the bit", "then after each instruction, unless the handler sets it again"]),
    rule("DebugCtl.LBR: the last branch, and the one before an interrupt", "APM vol. 2, 13.1.4", ["cpu/branch-records", "the last branch's addresses, of those that are taken", "an interrupt or exception is one, and keeps the branch before it", "a debug exception ends it before its handler", "without it nothing is recorded, and the records cannot be written"]),
    rule("a task's T flag", "SDM vol. 3B, 18.3.1.5", ["cpu/tasks", "the T flag is a debug trap before the first instruction; local breakpoints do not follow"]),
    rule("DR4 and DR5", "SDM vol. 3B, 18.2.2", ["cpu/system", "fixed bits, aliases, and DR4 under CR4.DE"]),
    rule("DR6: what the exception sets, what stays", "APM vol. 2, 13.1.1.3",
      ["cpu/debug", "B0 to B3 are the latest exception's, BS and BD stay", "several breakpoints met by one instruction are one exception", "reserved bits of DR6 and DR7"],
      ["cpu/system-rows", "a single step and a data breakpoint are one trap"]),
    rule("debug and control registers: what is not there, then the level, then general detect", "SDM vol. 2, MOV", ["cpu/precedence", "a debug register that CR4.DE takes away is #UD at any level, before #GP", "#GP of ring 3 comes before general detect", "a control register that does not exist is #UD at any level"]),
    rule("DR7: enables, reserved bits", "SDM vol. 3B, 18.2.4", ["cpu/precedence", "an instruction breakpoint is of its first byte, whatever LEN says (SDM vol. 3B, 18.2.4)"], ["cpu/debug", "reserved bits of DR6 and DR7"], ["cpu/system-rows", "a breakpoint that is not enabled costs nothing and does nothing"]),
  ],
  "error codes": [
    rule("selector, EXT, IDT and TI", "SDM vol. 3A, 6.13",
      ["cpu/exceptions", "a gate that cannot be used", "INT n pushes the next instruction's address and obeys the gate's DPL"],
      ["cpu/tasks", "an external event says so in the error code"]),
    rule("#NP, #SS, #GP of a segment load", "SDM vol. 2, MOV", ["cpu/modes", "loading a segment register", "ring 3 may not load what ring 0 owns", "64-bit ring 0 may have a null SS", "through the LDT"]),
    rule("#TS and #SS of a stack switch", "SDM vol. 3A, 6.15", ["cpu/exceptions", "a TSS that is too short is #TS with its selector", "the TSS's stack segment is checked: #TS and #SS with its selector", "an SS that is not present is #SS with its selector", "a push beyond the stack's limit is #SS(0)"]),
    rule("limits, types and null segments of an access", "SDM vol. 3A, 5.3", ["cpu/modes", "segmented accesses: limits, expand-down, types, null"], ["cpu/legacy-links", "a lowered CS limit ends a loop that is linked (SDM vol. 3A, 5.3)"], ["cpu/precedence", "a segment's limit comes before the page (SDM vol. 3A, 5.3: checks precede translation)"]),
    rule("far transfers and call gates", "SDM vol. 3A, 5.8", ["cpu/modes", "far transfers", "call gates", "checks: DPL against CPL and RPL, presence, target"]),
    rule("task switches", "SDM vol. 3A, 8.3", ["cpu/tasks", "what is refused", "before the switch: the old task faults", "after it: the new task does, at its first instruction", "TR and the link keep the selector's RPL", "a stack segment that cannot be had is #TS, delivered on the stack segment that was there"]),
    rule("a descriptor is marked accessed when it is loaded, and only then", "SDM vol. 3A, 3.4.5.1", ["cpu/accessed", "a return that fails for its SS leaves CS's descriptor alone, one that is done marks both", "a call or interrupt that cannot push leaves CS's descriptor alone"]),
    rule("IRET", "SDM vol. 2, IRET", ["cpu/exceptions", "IRET in long mode", "NT is #GP(0)", "flags: user code changes neither IF nor IOPL", "a null SS is good for 64-bit code inside ring 3 only", "null selectors lose their RPL, and keep their base"]),
    rule("#PF: P, W, U, RSVD, I", "SDM vol. 3A, 4.7", ["cpu/mmu", "error codes say what the access was and why it failed", "rights are those of all levels together"]),
    rule("ports: IOPL and the TSS's bitmap", "SDM vol. 1, 19.5", ["cpu/system", "are free in real mode and within IOPL", "beyond IOPL the TSS's bitmap decides, every port of the access"]),
    rule("virtual-8086 mode: IOPL, redirection, ports", "SDM vol. 3B, 21.2", ["cpu/virtual-8086", "what IOPL keeps", "INT3 and INTO do not ask for IOPL", "the bitmap alone decides, bit by bit of the access, and one byte behind it is read", "a handler outside level 0 is #GP with its selector"]),
    rule("INT n in real mode keeps NT", "APM vol. 3, INT", ["cpu/virtual-interrupts", "real mode's INT n keeps NT, which protected mode's clears (APM vol. 3, INT)"]),
    rule("privileged instructions", "SDM vol. 3A, 5.9", ["cpu/system-rows", "privileged instructions are #GP(0) in ring 3"]),
  ],
  "virtual interrupts": [
    rule("CR4.VME: VIF in IF's place", "APM vol. 2, 8.10",
      ["cpu/virtual-interrupts", "CLI and STI are about VIF; IF stays", "PUSHF shows VIF as IF, and IOPL as 3", "POPF puts the image's IF into VIF, and leaves IF and IOPL alone", "IRET does the same", "what would set VIF while VIP is set is #GP(0), and so is an image with TF", "the 32-bit forms are #GP(0), and all of them without CR4.VME", "at IOPL 3 they are about IF, whatever CR4.VME says (APM vol. 2, 8.10)"]),
    rule("CR4.VME: INT n by the redirection bitmap", "SDM vol. 3B, 21.3.3",
      ["cpu/virtual-interrupts", "with a zero in the bitmap goes to the program's own table, at any IOPL", "with a one is the IDT's at IOPL 3, else #GP(0)", "with its bit beyond the TSS's limit is #GP(0); INT3 and INTO never ask", "whose own stack has no room faults before anything has changed"]),
    rule("VIF and VIP at the beginning of an instruction", "SDM vol. 3B, 21.3.2", ["cpu/virtual-interrupts", "an instruction that begins with VIF and VIP set is #GP(0)"]),
    rule("CR4.PVI", "SDM vol. 3B, 21.4", ["cpu/virtual-interrupts", "CLI and STI beyond IOPL are about VIF; with VIP STI is #GP(0)", "PUSHF and POPF know nothing of it", "CR4.VME alone gives none, and VIF with VIP at an instruction's begin is #GP(0)"]),
  ],
  "double and triple fault": [
    rule("which pairs are a double fault", "SDM vol. 3A, 6.15", ["cpu/exceptions", "benign first: the second is delivered", "contributory or page fault, then contributory: a double fault with error code 0", "page fault, then page fault: a double fault, CR2 from the second", "contributory, then page fault: the page fault is delivered"]),
    rule("a fault of the double fault is shutdown", "SDM vol. 3A, 6.15", ["cpu/exceptions", "a fault while a double fault is delivered is shutdown"]),
    rule("in real mode", "SDM vol. 3B, 21.1.4", ["cpu/exceptions", "a vector beyond the table's limit raises #GP, and without that one a triple fault"]),
  ],
  "canonical addresses": [
    rule("#GP(0), by the stack #SS(0)", "SDM vol. 1, 3.3.7.1", ["cpu/engine", "non-canonical: #GP(0), on the stack #SS(0)"], ["cpu/mmu", "a non-canonical address is #GP(0), or #SS(0) through the stack"], ["cpu/exceptions", "a non-canonical stack is #SS"]),
    rule("a jump's target", "SDM vol. 1, 3.3.7.1", ["cpu/engine", "a jump to a non-canonical address faults at the jump"]),
    rule("MSRs and segment bases", "SDM vol. 2, WRMSR", ["cpu/system", "addresses must be canonical, reserved bits clear"]),
    rule("WRFSBASE, WRGSBASE", "SDM vol. 2, RDFSBASE, WRFSBASE", ["cpu/extended", "#UD without CR4.FSGSBASE, #GP(0) for a non-canonical base", "reads and writes the bases, 32 or 64 bits wide, in user code as well"]),
    rule("SYSCALL's selectors", "APM vol. 3, SYSCALL", ["cpu/modes", "SYSCALL clears the RPL of CS alone"]),
    rule("SYSCALL and SYSRET in legacy mode", "APM vol. 3, SYSCALL and SYSRET", ["cpu/modes", "SYSCALL and SYSRET in legacy mode"]),
    rule("SYSRET loads a non-canonical RIP, and the fault is ring 3's", "APM vol. 3, SYSRET", ["cpu/modes", "are #UD without EFER.SCE, SYSRET #GP outside ring 0; a non-canonical RCX faults in ring 3", "SYSRET changes the selector of SS only, and takes its RPL from STAR"]),
  ],
  "page tables": [
    rule("reserved bits", "SDM vol. 3A, 4.5", ["cpu/mmu", "reserved bits: PS in a PML4 entry, low address bits of large pages, NX without NXE"]),
    rule("PAE's pointers, and theirs", "SDM vol. 3A, 4.4.1", ["cpu/mmu", "PAE: pointers are registers, loaded by MOV to CR3 and checked there"]),
    rule("PSE-36", "SDM vol. 3A, 4.3", ["cpu/mmu", "4 MiB pages by CR4.PSE, their PSE-36 bits and the reserved bit 21"]),
    rule("the physical-address width", "SDM vol. 3A, 4.1.4", ["cpu/mmu", "the physical-address width of CPUID is where entries, CR3 and MSRs begin to refuse"]),
    rule("write protection, SMEP, SMAP with AC", "SDM vol. 3A, 4.6.1", ["cpu/mmu", "write protection binds the supervisor only while CR0.WP is set", "SMEP: the supervisor does not fetch from user pages", "SMAP: RFLAGS.AC opens user pages to explicit accesses, never to implicit ones", "SMAP set over a cached translation guards it at once"], ["cpu/system-rows", "SMAP: STAC opens user pages, CLAC closes them"]),
    rule("protection keys", "SDM vol. 3A, 4.6.2", ["cpu/extended", "AD denies all data accesses, WD writes; the fault says PK", "without CR0.WP the supervisor writes where WD is set", "fetches are free, and open no way for data", "a cached translation follows PKRU both ways", "RDPKRU and WRPKRU want ECX (and EDX) zero and CR4.PKE"]),
    rule("accessed and dirty bits", "SDM vol. 3A, 4.8", ["cpu/mmu", "4 KiB, 2 MiB and 1 GiB pages give the address and set accessed and dirty bits", "a denied access leaves the last entry's accessed and dirty bits alone"]),
    rule("PCIDs", "SDM vol. 3A, 4.10.1", ["cpu/pcid", "translations by PCID (SDM vol. 3A, 4.10.1)"], ["cpu/extended", "each type drops the page's translation", "CR4.PCIDE: only in long mode with a PCID of zero, and paging stays on", "CR3 holds the PCID; bit 63 is an order, not kept, and reserved without PCIDE"]),
    rule("what invalidates the TLB, and what does not", "SDM vol. 3A, 4.10.4.1", ["cpu/pcid", "random orders against a model that forgets by the rules alone (SDM vol. 3A, 4.10.4.1)", "a page fault drops what its context has of the page (4.10.4.1)"], ["cpu/mmu", "keeps a stale translation until INVLPG", "MOV to CR3 spares global pages; CR4.PGE and INVLPG do not", "INVLPG anywhere in a large page drops all of it, and no other page"]),
    rule("INVPCID", "SDM vol. 2, INVPCID", ["cpu/pcid", "INVPCID (SDM vol. 2, INVPCID)"], ["cpu/extended", "INVPCID: reserved bits, types and non-canonical addresses are #GP(0)"]),
  ],
  "shadows and NMI": [
    rule("MOV SS and POP SS hold off all but faults, for one instruction", "SDM vol. 3A, 6.8.3", ["cpu/priorities", "MOV SS holds off interrupts and NMI for one instruction, STI interrupts"], ["cpu/debug", "MOV SS", "an instruction breakpoint at the next one takes a data breakpoint along", "STI does not hold it off, MOV SS and POP SS do, for one instruction"], ["cpu/engine", "MOV SS holds the trap off for one instruction"]),
    rule("STI holds off interrupts for one instruction", "SDM vol. 2, STI", ["cpu/priorities", "MOV SS holds off interrupts and NMI for one instruction, STI interrupts"], ["cpu/engine", "STI; HLT sleeps until the interrupt, which returns behind HLT"]),
    rule("NMI blocks NMI until IRET, whatever comes of that", "SDM vol. 3A, 6.7.1", ["cpu/priorities", "one NMI waits while another is served, no more, and IRET lets it in", "an IRET that faults lets the next NMI in"], ["cpu/exceptions", "an NMI blocks NMIs until IRET; an interrupt ends HLT and the shadow"], ["cpu/engine", "NMI goes through IF but not into its own handler until IRET"], ["devices/apic-guest", "two that come between two looks are two; more than that are one and one that waits"]),
  ],
  "priorities and restart": [
    rule("among simultaneous events", "SDM vol. 3A, table 6-2", ["cpu/priorities", "a debug trap, then NMI, then an interrupt", "an interrupt comes before a fault of the next instruction, and the fault comes after", "fetching comes before decoding, decoding before executing"], ["cpu/debug", "a trap after one instruction comes before a breakpoint at the next"],
      ["cpu/precedence", "an instruction breakpoint comes before any fault of its instruction: fetch, decoding, execution", "NMI and interrupts come before an instruction breakpoint at the next", "faults of one instruction (SDM vol. 3A, table 6-2: decoding, then execution)"]),
    rule("REP goes on where it was interrupted or faulted", "SDM vol. 2, REP", ["cpu/priorities", "a repeated instruction that faults goes on where it was"], ["cpu/engine", "a repeated string instruction is interrupted between iterations and goes on"], ["cpu/string-runs", "repeated string instructions: at once, in pieces and one by one"]),
    rule("a fault leaves the machine as it was", "SDM vol. 3A, 6.6", ["cpu/engine", "precise faults"]),
    rule("alignment checks", "SDM vol. 3A, 6.15", ["cpu/system-rows", "alignment checking: ring 3 with CR0.AM and AC, for loads, stores and pushes"], ["cpu/alignment", "alignment checks (SDM vol. 3A, 6.15)"]),
    rule("unmasked SSE exceptions", "SDM vol. 1, 11.5", ["cpu/sse-environment", "an unmasked exception"]),
    rule("pending x87 exceptions", "SDM vol. 1, 8.7", ["cpu/x87", "a pending exception", "with CR0.NE clear"]),
  ],
  "registers with rules": [
    rule("CR0, CR3, CR4, CR8", "SDM vol. 3A, 2.5", ["cpu/system", "CR0: impossible combinations are #GP, unknown bits are dropped, ET stays", "CR3 and CR4: reserved bits are #GP", "CR4 in long mode: what CPUID promises may be set, every other bit is #GP", "CR8 is the task priority; CR1, CR5 and the rest are #UD", "LMSW sets PE but never clears it; CLTS"]),
    rule("UMIP", "SDM vol. 3A, 2.5", ["cpu/modes", "UMIP keeps the tables from ring 3"]),
    rule("EFER", "APM vol. 2, 3.1.7", ["cpu/msr", "reserved bits and features that CPUID does not promise are #GP", "LME stays while paging is on; LMA is the processor's own"]),
    rule("into long mode and out of it", "APM vol. 2, 14.6", ["cpu/modes", "what long mode wants before PG: PAE, no L in CS; and what it keeps"]),
    rule("XCR0", "SDM vol. 1, 13.3", ["cpu/extended", "XGETBV, XSETBV: XCR0's rules (13.3)"]),
    rule("MSRs: reserved bits, unknown numbers", "SDM vol. 2, WRMSR", ["cpu/system", "what is not in the table is #GP", "addresses must be canonical, reserved bits clear"]),
    rule("machine-check registers", "APM vol. 2, 9.3", ["cpu/msr", "MCG_CAP counts the banks; outside them there is nothing", "HWCR.McStatusWrEn lets software fill MCi_STATUS", "MCG_STATUS has three bits, MCG_CTL all"]),
    rule("IA32_MISC_ENABLE", "SDM vol. 4, table 2-2", ["cpu/msr", "IA32_MISC_ENABLE: MONITOR's CPUID bit, limited leaves, no NX (SDM vol. 4, table 2-2)"]),
    rule("CR8 in legacy modes: LOCK MOV CR0", "APM vol. 3, MOV CRn", ["cpu/system-rows", "LOCK MOV CR0 is MOV CR8 outside 64-bit mode (APM vol. 3, MOV CRn)"]),
    rule("MTRRs", "APM vol. 2, 7.7", ["cpu/msr", "eight of variable size, the fixed ones, write combining; MTRRcap is read-only", "fixed: a type in each byte", "RdDram and WrDram are there while SYSCFG.MtrrFixDramModEn shows them (7.9.1)", "reserved types, and bits beyond the physical address, are #GP"]),
  ],
  "performance counters": [
    rule("what they count", "APM vol. 2, 13.2.1", ["cpu/performance", "%s", "exceptions take a cycle, and are no instructions", "OS and USR: levels 0 to 2, and 3"]),
    rule("their interrupt", "APM vol. 2, 13.2.2", ["cpu/performance", "of %s interrupts at the cycle where the counter wraps, once", "without the interrupt bit, nobody is told"]),
    rule("the local APIC's entry for it", "APM vol. 2, 16.4", ["devices/local-apic", "performance counters: the entry's vector, or an NMI; it stays unmasked (APM vol. 2, 16.4)"]),
    rule("RDPMC", "APM vol. 3, RDPMC", ["cpu/performance", "RDPMC: at level 3 with CR4.PCE only; of a counter that is not there #GP (APM vol. 3, RDPMC)"]),
  ],
  "waiting for a store": [
    rule("MONITOR and MWAIT: what wakes", "SDM vol. 3A, 9.10.4", ["cpu/extended", "a store of another core to the line wakes, to the next line does not", "a device's store wakes as well", "a store between the two is not missed; without MONITOR MWAIT goes on", "after it HLT is a HLT: the line no longer wakes", "an interrupt wakes with IF clear when ECX bit 0 asks for it, and is not taken"]),
    rule("MONITOR and MWAIT: extensions and privilege", "SDM vol. 3A, 9.10.4", ["cpu/extended", "ECX: no extensions of MONITOR, one of MWAIT; user code has neither"]),
  ],
  "local APIC": [
    rule("modes and their transitions", "SDM vol. 3A, 11.12.5", ["devices/x2apic", "from %s", "what was set in xAPIC mode stays, but for the IDs; through disabled it is as after power-up"], ["devices/local-apic", "globally disabled: no page, INTR goes straight in; enabled again it is as after power-up"]),
    rule("which registers are MSRs, and what is reserved in them", "SDM vol. 3A, 11.12.1", ["devices/x2apic", "each row's access and reserved bits, and no others between 800H and 8FFH", "in xAPIC mode there are no MSRs, in x2APIC mode there is no page", "TPR and CR8 are one; EOI takes zero only"], ["devices/apic-guest", "the registers are MSRs once IA32_APIC_BASE says so; what is reserved is #GP"]),
    rule("logical destinations, flat and cluster", "SDM vol. 3A, 11.6.2.2", ["devices/local-apic", "fixed, %s", "cluster logical, destination %i"]),
    rule("logical destinations of x2APIC", "SDM vol. 3A, 11.12.10", ["devices/x2apic", "fixed, %s", "8-bit destinations of I/O APIC and MSI: IDs, cluster 0, and 0xFF as broadcast"]),
    rule("lowest priority", "SDM vol. 3A, 11.6.2.4", ["devices/local-apic", "lowest priority goes to the lowest TPR among those addressed and enabled"], ["devices/x2apic", "lowest priority among logical destinations"]),
    rule("ExtINT, LINT0, LINT1", "SDM vol. 3A, 11.5.1", ["devices/local-apic", "LINT0 as ExtINT passes the 8259 pair's request on, whatever the TPR", "an edge is one interrupt, a level one until EOI finds it gone", "LINT1 as NMI", "ExtINT in an interrupt message asks for one INTA cycle"], ["devices/board", "the 8259 pair's INTR is pin 0 of the I/O APIC, for ExtINT"]),
    rule("self-IPI", "SDM vol. 3A, 11.12.11", ["devices/x2apic", "self IPI; an illegal vector is an error of the sender"]),
    rule("priorities of interrupts", "SDM vol. 3A, 11.8.3", ["devices/local-apic", "only a higher priority class interrupts the one in service", "CR8 is TPR bits 7 to 4; lowering it raises attention"]),
    rule("EOI and its broadcast", "SDM vol. 3A, 11.8.5", ["devices/local-apic", "a vector goes from IRR to ISR and out by EOI", "EOI of a level vector is told to the I/O APIC, unless suppressed"]),
    rule("errors", "SDM vol. 3A, 11.5.3", ["devices/local-apic", "an illegal vector is an error of the sender", "an illegal vector in a message is an error of the receiver", "a reserved register is an illegal register address, shown after the ESR is written"]),
    rule("INIT and SIPI", "SDM vol. 3A, 9.4", ["devices/apic-guest", "INIT resets the core's local APIC, but for ID and base; the SIPI that follows is kept"], ["cpu/engine-state", "INIT and SIPI start a core in real mode at its page", "a SIPI that nobody waits for is dropped"]),
    rule("the timer", "SDM vol. 3A, 11.5.4", ["devices/local-apic", "divide configuration %i counts every %i ns", "periodic: reloads, keeps its pace, and unseen periods are one interrupt", "from one-shot to periodic and back the count goes on"]),
    rule("TSC deadline", "SDM vol. 3A, 11.5.4.1", ["devices/local-apic", "TSC deadline: fires at the deadline, then reads zero", "TSC deadline: in the past it fires at once, zero disarms, the far future never comes", "to TSC-deadline mode and from it, the timer is disarmed"], ["devices/apic-guest", "rings when the counter is there, however it was set, and then reads zero", "a counter that is written moves the deadline with it"]),
  ],
  "the board's interrupts and clocks": [
    rule("I/O APIC: edge, level, remote IRR, EOI", "Intel 82093AA", ["devices/io-apic", "edge: delivery mode %i goes out once a rising edge", "edge: lost while masked, logical destination passed on", "level", "the EOI register ends by vector"]),
    rule("HPET", "IA-PC HPET", ["devices/hpet", "one-shot", "periodic", "legacy replacement: timer 0 is the PIT's line, timer 1 the RTC's, whatever they are routed to"]),
    rule("PM timer", "ACPI 6.4", ["devices/power", "the timer counts at 3.579545 MHz in 24 bits", "TMR_STS is set when the timer's highest bit changes, and cleared by a one", "TMR_EN makes it an SCI, at its time"]),
    rule("PIT: all modes", "Intel 8254", ["devices/pit", "mode 0: high at terminal count, once", "mode 1: one shot by the gate, triggered again while it runs", "mode 2: low for one tick at the end of each period", "mode 3 with count %i: a square wave, the odd tick in the high half", "mode 4: a strobe of one tick at terminal count", "mode 5: the same, started by the gate", "modes 6 and 7 are 2 and 3; the status has them as they were written"]),
    rule("RTC and its three interrupts", "MC146818", ["devices/rtc", "periodic rate %i is %i Hz", "the update-ended interrupt, every second, until it is read", "the alarm %j comes after %i s"]),
    rule("TSC_ADJUST", "SDM vol. 3B, 18.17.3", ["cpu/msr", "a write to the counter shows in IA32_TSC_ADJUST, and one to that in the counter"]),
    rule("TSC_AUX", "SDM vol. 2, RDPID", ["cpu/extended", "RDPID is TSC_AUX, for user code too"], ["cpu/system", "TSC_AUX drops bits 63 to 32, as AMD's processors do"]),
    rule("the counters of all cores are one", "SDM vol. 3B, 18.17", ["devices/apic-guest", "go on together: what one core has read, no other reads an earlier time than"]),
  ],
  "memory order": [
    rule("each litmus test sees what x86-TSO allows and nothing else", "SDM vol. 3A, 9.2.3", ["litmus/machine", "$what", "%s"], ["litmus/live", "$name"]),
    rule("stores become visible in program order, and loads are made in it", "SDM vol. 3A, 9.2.3.2", ["litmus/shapes", "%s: %s is allowed: %s"]),
    rule("a store is not passed by an earlier load", "SDM vol. 3A, 9.2.3.3", ["litmus/shapes", "%s: %s is allowed: %s"]),
    rule("a store may be passed by a later load", "SDM vol. 3A, 9.2.3.4", ["litmus/shapes", "%s: %s is allowed: %s"]),
    rule("a core reads its own store before others do", "SDM vol. 3A, 9.2.3.5", ["litmus/shapes", "%s: %s is allowed: %s"]),
    rule("stores are transitively visible", "SDM vol. 3A, 9.2.3.6", ["litmus/shapes", "%s: %s is allowed: %s"]),
    rule("all others see two cores' stores in one order", "SDM vol. 3A, 9.2.3.7", ["litmus/shapes", "%s: %s is allowed: %s"]),
    rule("locked operations have one order for all", "SDM vol. 3A, 9.2.3.8", ["litmus/shapes", "%s: %s is allowed: %s"]),
    rule("nothing passes a locked operation", "SDM vol. 3A, 9.2.3.9", ["litmus/shapes", "%s: %s is allowed: %s"]),
    rule("a store may be passed by a later load, which MFENCE and LOCK forbid", "SDM vol. 3A, 9.2.3.4", ["litmus/machine", "a store buffer shows what its cores without one cannot, and LOCK, XCHG and MFENCE take it away"], ["litmus/store-buffer", "Peterson's lock"]),
    rule("what drains the store buffer", "SDM vol. 3A, 9.2.5", ["litmus/store-buffer", "a store waits until something orders it"], ["litmus/machine", "all tests, with %s between their steps"]),
    rule("a core sees its own stores at once", "APM vol. 2, 7.2", ["litmus/store-buffer", "stores, byte by byte, newest first, with memory around them (AMD APM vol. 2, 7.2)"]),
    rule("locked operations are atomic, aligned or not", "SDM vol. 3A, 9.1.2", ["cpu/engine-threads", "lock xadd from two threads loses nothing", "aligned and unaligned locked additions to the same bytes exclude each other", "lock cmpxchg16b: both halves count together"]),
    rule("self-modifying and cross-modifying code", "SDM vol. 3A, 9.1.3", ["cpu/engine", "its own next instruction", "another core's code, within one loop round"], ["cpu/engine-threads", "code written by another thread is seen"]),
  ],
};
