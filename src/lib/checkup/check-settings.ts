import type {Settings} from '../settings/load-settings.js'
import {good, note, type Finding} from './finding.js'

/** Which settings are in force and where each is from; values are shown where they are used, secrets never. */
export function checkSettings({sources}: Settings): readonly Finding[] {
  if (sources.length === 0)
    return [note('settings', 'nothing is configured: a directory of this user is the store')]
  return sources.map(({name, source}) => good('settings', `${name} from ${source}`))
}
