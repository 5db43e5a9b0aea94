import {describe, expect, test} from '@jest/globals'
import {
  describeRotation,
  describeSlots,
  removalQuestion,
  rotationQuestion,
  slotWarnings,
} from '../../src/ui/describe-keys.js'

const slot = {
  slot: '3f9ac01d22aa9b04',
  kind: 'file',
  label: '\u001B]0;owned\u0007',
  created: '2026-11-23T14:02:00Z',
} as const
const survey = {
  repository: 'a'.repeat(32),
  protection: 'sealed',
  slots: [slot],
  unusable: [],
  isCut: false,
} as const
const doomed = slot as unknown as Parameters<typeof rotationQuestion>[0][number]

describe('what is said of keys', () => {
  test('lets no label of the store drive the terminal', () => {
    for (const text of [
      describeSlots(survey),
      rotationQuestion([doomed]),
      removalQuestion({isInUse: false, isLastRecovery: false, slot: doomed}),
    ]) {
      expect(text).toContain('owned')
      expect(text).not.toContain('\u001B')
    }
  })

  test('misses a recovery text, and names slots that are of no use', () => {
    expect(slotWarnings(survey)).toEqual([expect.stringContaining('dumont key add --recovery')])
    const odd = {
      ...survey,
      slots: [{...slot, kind: 'recovery'}],
      unusable: [{slot: 'x', reason: 'too large'}],
      isCut: true,
    } as const
    expect(slotWarnings(odd)).toEqual([
      'warning: slot x cannot be used: too large',
      'warning: there are more than 64 slots; the rest is not read',
    ])
  })

  test('says what a removal would mean', () => {
    const asked = (isInUse: boolean, isLastRecovery: boolean) =>
      removalQuestion({isInUse, isLastRecovery, slot: doomed})
    expect(asked(true, false)).toContain('what opens the store here')
    expect(asked(false, true)).toContain('no recovery text opens the store')
  })

  test('says after a rotation that nothing old is sealed anew', () => {
    const text = describeRotation({master: 'm', recovery: 'r', removed: ['x'], slot: 's'})
    expect(text).toContain('not sealed anew')
    expect(text).toContain('your passphrase opens it')
  })
})
