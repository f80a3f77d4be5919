// The ways into the kernel.
