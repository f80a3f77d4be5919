// Tests that need the machine: run in the kernel when the command line says `selftest`.
export function selfTest(): void {}
