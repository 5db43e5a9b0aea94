import {DumontError} from '../lib/errors.js'

/**
 * The answer to a question; INTERRUPTED when there is none. While a question is asked the terminal sends no signal for
 * Ctrl-C, so it is sent from here: everything else that is going on ends as well.
 */
export async function answered<T>(
  answer: Promise<T>,
  interrupt: () => unknown = () => process.kill(process.pid, 'SIGINT'),
): Promise<T> {
  try {
    return await answer
  } catch (error) {
    const {name} = error as Error
    if (name !== 'ExitPromptError' && name !== 'AbortPromptError') throw error
    if (name === 'ExitPromptError') interrupt()
    throw new DumontError('INTERRUPTED', 'interrupted', {
      cause: error,
      hint: 'run the same command again',
    })
  }
}
