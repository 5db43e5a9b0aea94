import {once} from 'node:events'
import {encodeMessage, type OperatorMessage} from './requests.js'

/** Writes messages one after the other and waits where the peer reads slowly. */
export interface MessageWriter {
  /** Resolves when the stream took the line; resolves too when the worker is gone: its end is told elsewhere. */
  write(message: OperatorMessage): Promise<void>
  end(): void
}

/** `gone` is aborted when the worker ended, so that no write waits for a reader that is not there. */
export function writeMessages(stdin: NodeJS.WritableStream, gone: AbortSignal): MessageWriter {
  let last: Promise<void> = Promise.resolve()
  let over = false
  // A broken pipe means that the worker ended; its exit status says why.
  stdin.on('error', () => (over = true))
  const put = async (line: string) => {
    if (over || gone.aborted || stdin.write(line)) return
    await once(stdin, 'drain', {signal: gone}).catch(() => {})
  }
  return {
    write(message) {
      const line = encodeMessage(message)
      last = last.then(() => put(line))
      return last
    },
    end() {
      if (over) return
      over = true
      stdin.end()
    },
  }
}
