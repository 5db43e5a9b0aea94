/** Whether an address never leaves this machine, so that nothing on the way can read what goes there in the clear. */
export function isLoopback({hostname}: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/u.test(hostname)
}
