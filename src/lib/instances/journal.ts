import {createHash} from 'node:crypto'
import {mkdir, open} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import * as v from 'valibot'
import {DumontError} from '../errors.js'
import {namesIn, readIfThere} from '../snapshots/state-file.js'

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(256))

const entry = v.strictObject({
  /** Milliseconds since the epoch by this machine's clock. */
  at: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  event: v.picklist([
    'creating',
    'created',
    'restoring',
    'restored',
    'handed-over',
    'stopping',
    'destroying',
    'gone',
  ]),
  provider: name,
  account: name,
  label: v.nullable(name),
  id: v.nullable(name),
})

/** One thing this machine was about to do, or saw done, at a vendor. */
export type JournalEntry = v.InferOutput<typeof entry>

/**
 * What this operator's machine did at vendors, one file a rented label or instance. An entry is on the disk before the
 * request it speaks of is sent.
 */
export interface Journal {
  read(subject: string): Promise<readonly JournalEntry[]>
  append(subject: string, happened: Omit<JournalEntry, 'at'>): Promise<void>
  subjects(): Promise<readonly string[]>
}

const LIMIT = 1024 * 1024

export function openJournal(stateDir: string, repository: string, clock: {now(): number}): Journal {
  const folder = join(stateDir, repository, 'instances')
  const pathOf = (subject: string) => join(folder, `${fileName(subject)}.log`)
  return {
    read: async (subject) => parse(pathOf(subject), (await readIfThere(pathOf(subject))) ?? ''),
    async append(subject, happened) {
      const path = pathOf(subject)
      // Whatever could not be read must not be written behind.
      const text = (await readIfThere(path)) ?? ''
      parse(path, text)
      await appendLine(
        path,
        Buffer.byteLength(whole(text)),
        lineOf({at: Math.round(clock.now()), ...happened}),
      )
    },
    subjects: async () =>
      (await namesIn(folder))
        .filter((file) => file.endsWith('.log'))
        .map((file) => file.slice(0, -4)),
  }
}

/** A line that was not finished was never acted upon, so it makes room; after this call the new one is on the disk. */
async function appendLine(path: string, wholeLength: number, line: string): Promise<void> {
  await mkdir(dirname(path), {mode: 0o700, recursive: true})
  const file = await open(path, 'a', 0o600)
  try {
    await file.truncate(wholeLength)
    await file.appendFile(line)
    await file.sync()
  } finally {
    await file.close()
  }
  if (wholeLength === 0) await syncFolder(dirname(path))
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function lineOf(value: JournalEntry): string {
  const json = JSON.stringify(v.parse(entry, value))
  return `${digest(json)} ${json}\n`
}

function parse(path: string, text: string): readonly JournalEntry[] {
  if (text.length > LIMIT) throw damaged(path)
  const lines = whole(text).split('\n').slice(0, -1)
  return lines.map((line) => {
    const json = line.slice(17)
    if (line.slice(0, 16) !== digest(json)) throw damaged(path)
    const parsed = v.safeParse(entry, JSON.parse(json))
    if (!parsed.success) throw damaged(path)
    return parsed.output
  })
}

/** Up to the last line that was finished. */
function whole(text: string): string {
  return text.slice(0, text.lastIndexOf('\n') + 1)
}

function digest(json: string): string {
  return createHash('sha256').update(json).digest('hex').slice(0, 16)
}

function fileName(subject: string): string {
  if (/^[A-Za-z0-9_-]{1,120}$/.test(subject)) return subject
  return `x${createHash('sha256').update(subject).digest('hex').slice(0, 32)}`
}

function damaged(path: string): DumontError {
  return new DumontError('INTEGRITY', `${path} is damaged`, {
    hint: 'it says what was rented from here: look at the vendor’s list of instances, then remove it',
  })
}
