// Which hosts are this one.

/** Of a host name or address; an IPv6 address may stand in the brackets that it has in a URL. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
