import {DumontError} from '../errors.js'
import {isTag, type Manifest} from '../format/manifest.js'
import {untrusted} from '../untrusted.js'

const MOST = 16

/** The tags of a command line, each once; USAGE for what is none, or too many. */
export function checkedTags(given: readonly string[]): readonly string[] {
  const tags = [...new Set(given)].toSorted()
  const wrong = tags.find((tag) => !isTag(tag))
  if (wrong !== undefined)
    throw new DumontError('USAGE', `${untrusted(wrong, 80)} is no tag`, {
      hint: 'a tag has up to 64 letters, digits or . _ : @ + = - and begins with a letter or digit',
    })
  if (tags.length > MOST)
    throw new DumontError('USAGE', `a snapshot has at most ${MOST} tags, not ${tags.length}`)
  return tags
}

/** Those of the wanted tags that a snapshot has. */
export function tagsOf({tags = []}: Pick<Manifest, 'tags'>, wanted: readonly string[]): string[] {
  return wanted.filter((tag) => tags.includes(tag))
}
