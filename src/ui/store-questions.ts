import {DumontError} from '../lib/errors.js'
import type {Interviewer} from '../lib/setup/interview.js'

/** Questions go to stderr, because stdout is for results. */
export function askOnTerminal(signal: AbortSignal): Interviewer {
  const context = {output: process.stderr, signal}
  return {
    async choose(message, choices) {
      const {select} = await import('@inquirer/prompts')
      return answered(select({message, choices}, context))
    },
    async ask(message, {standard, check} = {}) {
      const {input} = await import('@inquirer/prompts')
      const options = {
        message,
        ...(standard !== undefined && {default: standard}),
        ...(check && {validate: check}),
      }
      return (await answered(input(options, context))).trim()
    },
    async askSecret(message) {
      const {password} = await import('@inquirer/prompts')
      return answered(password({message, mask: true, validate: isThere}, context))
    },
  }
}

function isThere(answer: string): string | true {
  return answer !== '' || 'must not be empty'
}

/** Ctrl-C at a question is an interruption like any other. */
async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (error) {
    const {name} = error as Error
    if (name !== 'ExitPromptError' && name !== 'AbortPromptError') throw error
    throw new DumontError('INTERRUPTED', 'interrupted; nothing was written', {cause: error})
  }
}
