import type {TransportError} from './ssh-failure.js'

/** ssh2 throws when the socket is closed and calls back when the server refuses. */
export function attempted(failed: (error: TransportError) => void, act: () => unknown): void {
  try {
    act()
  } catch (error) {
    failed(error as TransportError)
  }
}
