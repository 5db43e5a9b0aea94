import {expect, test} from '@jest/globals'
import {existsSync, readdirSync, readFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))

const pages = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(ROOT, 'docs'), {recursive: true, encoding: 'utf8'})
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]
const textOf = (page: string) => readFileSync(join(ROOT, page), 'utf8')
const all = (text: string, pattern: RegExp) =>
  [...text.matchAll(pattern)].map(([, found]) => found ?? '')

test.each(pages)('what %s leads to is there', (page) => {
  const links = all(textOf(page), /\]\(([^)#\s]+)[^)]*\)/gu).filter((to) => !/^\w+:/u.test(to))
  expect(links.filter((to) => !existsSync(join(ROOT, dirname(page), to)))).toEqual([])
})

test.each(pages)('the files that %s names are there', (page) => {
  const named = all(
    textOf(page),
    /`((?:bench|bin|docs|gpu-scripts|scripts|src|test)\/[\w./-]*\w)`/gu,
  )
  // Tests may be named without their ending, and folders that only a command makes end with a slash.
  const isThere = (file: string) =>
    existsSync(join(ROOT, file)) || existsSync(join(ROOT, `${file}.test.ts`))
  expect(named.filter((file) => !isThere(file))).toEqual([])
})

test.each(pages)('the scripts that %s calls are there', (page) => {
  const {scripts} = JSON.parse(textOf('package.json')) as {scripts: Record<string, string>}
  const called = all(textOf(page), /npm run ([\w:-]+)/gu)
  expect(called.filter((name) => !(name in scripts))).toEqual([])
})
