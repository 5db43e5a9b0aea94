import type {Interviewer} from '../lib/setup/interview.js'
import {answered} from './answered.js'

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
