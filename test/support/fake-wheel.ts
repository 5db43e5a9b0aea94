import {execFileSync} from 'node:child_process'
import {createHash} from 'node:crypto'

export interface FakeWheel {
  /** A line of a requirements file. */
  readonly requirement: string
  readonly name: string
  readonly file: string
  readonly bytes: Buffer
  readonly sha256: string
}

const ZIP = `
import io, json, sys, zipfile
out = io.BytesIO()
with zipfile.ZipFile(out, "w") as archive:
    for name, text in json.load(sys.stdin).items():
        archive.writestr(name, text)
sys.stdout.buffer.write(out.getvalue())
`

/** A wheel of our own making; by default one module that says its name. */
export function fakeWheel(name: string, files?: Record<string, string>): FakeWheel {
  const module = name.replaceAll('-', '_')
  const input = JSON.stringify(
    files ?? {[`${module}/__init__.py`]: `WORD = ${JSON.stringify(name)}\n`},
  )
  const bytes = execFileSync('python3', ['-c', ZIP], {input})
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return {
    bytes,
    file: `${module}-1.0-py3-none-any.whl`,
    name,
    requirement: `${name}==1.0 --hash=sha256:${sha256}\n`,
    sha256,
  }
}

/** A package index of these wheels, as fetch sees it; counts what is fetched. */
export function fakeIndex(wheels: readonly FakeWheel[], kind: 'html' | 'json' = 'json') {
  const fetched: string[] = []
  const answer = (url: string): Response => {
    const wheel = wheels.find((one) => url.endsWith(`/files/${one.file}`))
    if (wheel !== undefined) return new Response(new Uint8Array(wheel.bytes))
    const listed = wheels.filter((one) => url.endsWith(`/simple/${one.name}/`))
    if (listed.length === 0) return new Response('', {status: 404})
    return new Response(kind === 'json' ? asJson(listed) : asHtml(listed))
  }
  const fetchFake = async (url: unknown) => {
    fetched.push(String(url))
    return answer(String(url))
  }
  return {fetch: fetchFake as typeof fetch, fetched, indexUrl: 'https://index.test/simple'}
}

function asJson(wheels: readonly FakeWheel[]): string {
  return JSON.stringify({
    files: wheels.map(({file, sha256}) => ({hashes: {sha256}, url: `../../files/${file}`})),
  })
}

function asHtml(wheels: readonly FakeWheel[]): string {
  const links = wheels.map(
    ({file, sha256}) => `<a href="/files/${file}#sha256=${sha256}">${file}</a>`,
  )
  return `<!DOCTYPE html><html><body>${links.join('\n')}</body></html>`
}
