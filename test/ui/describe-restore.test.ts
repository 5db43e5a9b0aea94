import {expect, test} from '@jest/globals'
import {describeRestore, restoreAnswer} from '../../src/ui/describe-restore.js'

const summary = {failed: 0, hosts: [], id: 'i', label: 'l', lineage: 'x', seconds: 1, torn: 0}

test('a restore tells of files that were torn when they were saved', () => {
  expect(describeRestore({...summary, torn: 2})).toContain('2 files changed while they were saved')
  expect(restoreAnswer({...summary, torn: 2})).toMatchObject({torn: 2})
})

test('a restore of whole files says nothing of torn ones', () => {
  expect(describeRestore(summary)).not.toContain('torn')
})
