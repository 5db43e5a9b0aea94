import {execFileSync} from 'node:child_process'
import {createHash} from 'node:crypto'
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'

import {afterAll, beforeAll, describe, expect, test} from '@jest/globals'

import {openLocalSession} from '../../../src/lib/remote/local-session.js'
import type {RemoteProcess, Session} from '../../../src/lib/remote/session.js'
import {openSshSession} from '../../../src/lib/remote/ssh-session.js'
import {equipBox, type EquippedBox} from '../../../src/lib/worker/equip-box.js'
import type {WorkerBundle} from '../../../src/lib/worker/worker-bundle.js'
import {fakeIndex, fakeWheel, type FakeWheel} from '../../support/fake-wheel.js'
import {loopbackTarget, quietDependencies} from '../../support/ssh-target.js'
import {describeWithSshd, startSshd, type Sshd} from '../../support/sshd.js'

const EQUIP = join(import.meta.dirname, '../../../gpu-scripts/equip/equip_box.py')
const WORKER =
  'import sys, module\nsys.path.insert(1, sys.argv[2])\nimport helper_one, numpy\nprint(helper_one.WORD, numpy.WORD)\n'

const made: string[] = []
let worker: Buffer
let script: string
let python: string
let wheels: FakeWheel[]
beforeAll(async () => {
  script = await readFile(EQUIP, 'utf8')
  const venv = join(await scratch(), 'venv')
  execFileSync('python3', ['-m', 'venv', '--without-pip', venv])
  python = join(venv, 'bin', 'python')
  wheels = [fakeWheel('helper-one'), fakeWheel('numpy')]
  worker = fakeWheel('worker', {'__main__.py': WORKER, 'module.py': 'WORD = 1\n'}).bytes
})

afterAll(() => Promise.all(made.map((path) => rm(path, {force: true, recursive: true}))))

describe('a fresh box', () => {
  test('without uv and pip gets worker and helpers from here, and runs them', async () => {
    const box = await freshBox()
    const equipped = await box.equip()
    expect(equipped.argv).toEqual([
      equipped.python,
      '-I',
      equipped.workerPath,
      '--native',
      equipped.nativePath,
      '--private',
      equipped.privateDir,
    ])
    expect(await runWorker(box.session, equipped)).toBe('helper-one numpy\n')
  })

  test("gets everything below one directory that is its owner's alone", async () => {
    const box = await freshBox()
    const {privateDir} = await box.equip()
    expect(privateDir).toBe(join(box.home, '.cache', 'dumont'))
    expect((await stat(privateDir)).mode & 0o777).toBe(0o700)
    expect(await readdir(box.home)).toEqual(['.cache'])
    expect(await readdir(privateDir)).toEqual([
      expect.stringMatching(/^native-/),
      expect.stringMatching(/^worker-/),
    ])
  })

  test('that another tool cached below XDG_CACHE_HOME is found there', async () => {
    const cache = await scratch()
    const box = await freshBox({env: {XDG_CACHE_HOME: cache}})
    expect((await box.equip()).privateDir).toBe(join(cache, 'dumont'))
  })

  test('is asked past everything its login prints', async () => {
    const bin = await scratch()
    await program(
      join(bin, 'sh'),
      'echo Welcome to your box; echo "dumont-equip is great"; exec /bin/sh "$@"',
    )
    const box = await freshBox({env: {PATH: `${bin}:${process.env['PATH']}`}})
    expect((await box.equip()).python).toBe(python)
  })

  test('with an index that speaks HTML only gets its helpers too', async () => {
    const box = await freshBox({index: fakeIndex(wheels, 'html')})
    expect(await runWorker(box.session, await box.equip())).toBe('helper-one numpy\n')
  })

  test('equipped by several runs at once ends up with one of everything', async () => {
    const box = await freshBox()
    const equipped = await Promise.all([box.equip(), box.equip(), box.equip()])
    expect(new Set(equipped.map(({nativePath}) => nativePath)).size).toBe(1)
    expect(await readdir(join(box.home, '.cache', 'dumont'))).toHaveLength(2)
    expect(await runWorker(box.session, equipped[0])).toBe('helper-one numpy\n')
  })
})

describe('the box of a sealed store', () => {
  const cipher = fakeWheel('cipher')
  const sealed = () => ({cipher, index: fakeIndex([...wheels, cipher]), sealed: true})

  test('gets what encrypts from here, in a directory of its own', async () => {
    const first = await freshBox({cipher})
    const plain = await first.equip()
    const box = await boxOver(first.session, {...sealed(), home: first.home})
    const equipped = await box.equip()
    expect(await readdir(equipped.nativePath)).toContain('cipher')
    expect(await readdir(plain.nativePath)).not.toContain('cipher')
    expect(equipped.workerPath).toBe(plain.workerPath)
    expect(await runWorker(box.session, equipped)).toBe('helper-one numpy\n')
    box.calls.length = 0
    expect((await box.equip()).argv).toEqual(equipped.argv)
    expect(box.calls).toEqual([['sh']])
  })

  test('installs it by itself where it can, held to the pinned hash', async () => {
    const box = await freshBox(sealed())
    const asked = join(box.home, 'asked')
    const install = unzipInto([...wheels, cipher])
    await fakeUv(box.home, `for last; do :; done; cat "$last" > ${asked}; ${install}`)
    const {nativePath} = await box.equip()
    expect(await readdir(nativePath)).toContain('cipher')
    expect(await readFile(asked, 'utf8')).toContain(cipher.requirement)
    expect(box.index.fetched).toEqual([])
  })

  test('is refused other bytes than the pinned ones', async () => {
    const {bytes} = fakeWheel('cipher', {'cipher/__init__.py': 'WORD = "evil"\n'})
    const box = await freshBox({...sealed(), index: fakeIndex([...wheels, {...cipher, bytes}])})
    await expect(box.equip()).rejects.toMatchObject({code: 'INTEGRITY'})
  })
})

describe('an equipped box', () => {
  test('costs one round trip', async () => {
    const box = await freshBox()
    const first = await box.equip()
    box.calls.length = 0
    expect((await box.equip()).argv).toEqual(first.argv)
    expect(box.calls).toEqual([['sh']])
  })

  const damages: readonly (readonly [string, (path: string) => Promise<unknown>])[] = [
    ['is damaged', (path) => writeFile(join(path, '__main__.py'), 'print("evil")')],
    ['lacks a module', (path) => rm(join(path, 'module.py'))],
    ['holds one more module', (path) => writeFile(join(path, 'json.py'), 'print("evil")')],
    ['was compiled from something else', async (path) => writeFile(await bytecode(path), 'evil')],
    ['was left half unpacked', (path) => rm(join(path, 'dumont-complete'))],
    ['became a file', (path) => rm(path, {recursive: true}).then(() => writeFile(path, 'evil'))],
  ]
  test.each(damages)('gets a worker replaced that %s', async (_, damage) => {
    const box = await freshBox()
    const {workerPath} = await box.equip()
    const before = await readdir(workerPath)
    await damage(workerPath)
    expect(await runWorker(box.session, await box.equip())).toBe('helper-one numpy\n')
    expect(await readFile(join(workerPath, '__main__.py'), 'utf8')).toBe(WORKER)
    expect(await readdir(workerPath)).toEqual(before)
    expect(await readdir(join(box.home, '.cache', 'dumont'))).toHaveLength(2)
  })

  test('runs a worker that Python need not compile again', async () => {
    const box = await freshBox()
    const {workerPath} = await box.equip()
    const compiled = await stat(await bytecode(workerPath))
    await runWorker(box.session, await box.equip())
    expect((await stat(await bytecode(workerPath))).ino).toBe(compiled.ino)
    box.calls.length = 0
    await box.equip()
    expect(box.calls).toEqual([['sh']])
  })

  test('never runs a worker that is a link', async () => {
    const box = await freshBox()
    const {workerPath} = await box.equip()
    const elsewhere = join(await scratch(), 'worker')
    await rename(workerPath, elsewhere)
    await symlink(elsewhere, workerPath)
    await box.equip()
    expect((await lstat(workerPath)).isDirectory()).toBe(true)
  })

  test('gets helpers again that were left unfinished', async () => {
    const box = await freshBox()
    const {nativePath} = await box.equip()
    execFileSync('rm', ['-r', join(nativePath, 'dumont-complete'), join(nativePath, 'numpy')])
    expect(await runWorker(box.session, await box.equip())).toBe('helper-one numpy\n')
    expect(await readdir(join(box.home, '.cache', 'dumont'))).toHaveLength(2)
  })

  test('fetches nothing twice: wheels stay in the cache of this machine', async () => {
    const index = fakeIndex(wheels)
    const cacheDir = await scratch()
    await (await freshBox({cacheDir, index})).equip()
    index.fetched.length = 0
    await (await freshBox({cacheDir, index})).equip()
    expect(index.fetched).toEqual([])
  })

  test('gets a damaged wheel of the cache fetched again', async () => {
    const cacheDir = await scratch()
    await (await freshBox({cacheDir})).equip()
    for (const name of await readdir(cacheDir)) await writeFile(join(cacheDir, name), 'damaged')
    const box = await freshBox({cacheDir})
    expect(await runWorker(box.session, await box.equip())).toBe('helper-one numpy\n')
  })

  test('loses what a killed run left a day ago, and nothing younger', async () => {
    const box = await freshBox()
    const {privateDir, workerPath} = await box.equip()
    for (const name of ['equip-tmp-old', 'equip-tmp-new']) await mkdir(join(privateDir, name))
    execFileSync('touch', ['-d', '2 days ago', join(privateDir, 'equip-tmp-old')])
    await rm(join(workerPath, 'dumont-complete'))
    await box.equip()
    const names = await readdir(privateDir)
    expect(names).toContain('equip-tmp-new')
    expect(names).not.toContain('equip-tmp-old')
  })
})

describe('uv on the box', () => {
  test('installs the pinned helpers, with hashes required', async () => {
    const box = await freshBox()
    await fakeUv(box.home, `echo "$@" > ${box.home}/said; ${unzipInto(wheels)}`)
    await box.equip()
    const said = await readFile(join(box.home, 'said'), 'utf8')
    expect(said).toMatch(/^pip install .*--require-hashes --only-binary :all: --no-deps --target /)
    expect(box.index.fetched).toEqual([])
  })

  test('that has no way out is helped from here', async () => {
    const box = await freshBox()
    await fakeUv(box.home, 'echo "error: dns error" >&2; exit 2')
    expect(await runWorker(box.session, await box.equip())).toBe('helper-one numpy\n')
  })

  test('that meets other bytes than pinned ends the run', async () => {
    const box = await freshBox()
    await fakeUv(box.home, 'echo "error: Hash mismatch for helper-one==1.0" >&2; exit 1')
    await expect(box.equip()).rejects.toMatchObject({
      code: 'INTEGRITY',
      message: expect.stringContaining('Hash mismatch'),
    })
    expect(box.index.fetched).toEqual([])
  })

  test('that fills the disk is reported as that', async () => {
    const box = await freshBox()
    await fakeUv(box.home, 'echo "No space left on device (os error 28)" >&2; exit 2')
    await expect(box.equip()).rejects.toMatchObject({code: 'BOX_DISK_FULL'})
  })

  test('and an index both out of reach are named together', async () => {
    const box = await freshBox({index: fakeIndex([])})
    await fakeUv(box.home, 'echo "error: dns error" >&2; exit 2')
    await expect(box.equip()).rejects.toMatchObject({
      code: 'BOX_UNSUITABLE',
      message: expect.stringMatching(/dns error.*404/),
    })
  })
})

describe('helpers are refused', () => {
  test('when the index serves other bytes', async () => {
    const index = fakeIndex(wheels.map((wheel) => ({...wheel, bytes: Buffer.from('tampered')})))
    const box = await freshBox({index})
    await expect(box.equip()).rejects.toMatchObject({
      code: 'INTEGRITY',
      message: expect.stringContaining('other bytes'),
    })
    expect(await readdir(join(box.home, '.cache', 'dumont'))).toEqual([
      expect.stringMatching(/^worker-/),
    ])
  })

  test('when the index does not list the pinned one', async () => {
    const index = fakeIndex(wheels.map((wheel) => ({...wheel, sha256: '0'.repeat(64)})))
    await expect((await freshBox({index})).equip()).rejects.toMatchObject({
      code: 'INTEGRITY',
      message: expect.stringContaining('does not list'),
    })
  })

  test.each(['../../escaped.py', '/tmp/escaped.py'])(
    'when a wheel would write to %s',
    async (name) => {
      const evil = [fakeWheel('helper-one', {[name]: 'x'}), fakeWheel('numpy')]
      const box = await freshBox({index: fakeIndex(evil), pinned: evil})
      await expect(box.equip()).rejects.toMatchObject({code: 'INTEGRITY'})
      expect(await readdir(join(box.home, '.cache', 'dumont'))).toEqual([
        expect.stringMatching(/^worker-/),
      ])
    },
  )

  test('when they cannot be imported on this box', async () => {
    const broken = [
      fakeWheel('helper-one', {'helper_one.py': 'raise ImportError("wrong libc")'}),
      fakeWheel('numpy'),
    ]
    const box = await freshBox({index: fakeIndex(broken), pinned: broken})
    await expect(box.equip()).rejects.toMatchObject({
      code: 'BOX_UNSUITABLE',
      message: expect.stringContaining('wrong libc'),
    })
    expect(await readdir(join(box.home, '.cache', 'dumont'))).toEqual([
      expect.stringMatching(/^worker-/),
    ])
  })

  test('when the installation pins something malformed', async () => {
    const box = await freshBox({requirement: 'helper-one>=1\n'})
    await expect(box.equip()).rejects.toMatchObject({code: 'CONFIG'})
  })
})

describe('a box is refused', () => {
  test('without any Python, with the remedy', async () => {
    const box = await freshBox({pythons: ['/no/such/python3']})
    await expect(box.equip()).rejects.toMatchObject({
      code: 'BOX_UNSUITABLE',
      hint: expect.stringContaining('install CPython'),
      message: expect.stringContaining('found: none'),
    })
  })

  test('with unsuitable Pythons only, naming each and why', async () => {
    const bin = await scratch()
    const old = join(bin, 'old')
    await program(
      old,
      `echo 'dumont-python {"path": "${old}", "version": "3.8.10", "reason": "older than 3.10"}'; exit 9`,
    )
    await program(join(bin, 'two'), 'echo "Unknown option: -I" >&2; exit 2')
    const box = await freshBox({pythons: [old, join(bin, 'two')]})
    await expect(box.equip()).rejects.toMatchObject({
      code: 'BOX_UNSUITABLE',
      message: expect.stringMatching(
        /old \(3\.8\.10: older than 3\.10\), .*two \(ends with status 2\)/,
      ),
    })
  })

  test('when nothing is pinned for its Python', async () => {
    const box = await freshBox({platforms: ['cp399-x86_64']})
    await expect(box.equip()).rejects.toMatchObject({
      code: 'BOX_UNSUITABLE',
      message: expect.stringContaining('no checked helpers for cp3'),
    })
  })

  test('unless a later Python suits', async () => {
    const box = await freshBox({pythons: ['/no/such/python3', python]})
    expect((await box.equip()).python).toBe(python)
  })

  test('when its disk is full', async () => {
    const full =
      'def _full(*_):\n    raise OSError(28, "No space left on device")\nos.rename = _full\n'
    const box = await freshBox({appended: full})
    await expect(box.equip()).rejects.toMatchObject({
      code: 'BOX_DISK_FULL',
      message: expect.stringContaining('No space left on device'),
    })
    expect(await readdir(join(box.home, '.cache', 'dumont'))).toEqual([])
  })

  test('when its home cannot be written', async () => {
    const file = join(await scratch(), 'file')
    await writeFile(file, '')
    const box = await freshBox({env: {HOME: file}})
    await expect(box.equip()).rejects.toMatchObject({
      code: 'TARGET_UNWRITABLE',
      hint: expect.stringContaining('XDG_CACHE_HOME'),
    })
  })

  test('when the private directory is a link', async () => {
    const box = await freshBox()
    await mkdir(join(box.home, '.cache'))
    await symlink(await scratch(), join(box.home, '.cache', 'dumont'))
    await expect(box.equip()).rejects.toMatchObject({
      code: 'TARGET_UNWRITABLE',
      message: expect.stringContaining('link'),
    })
  })

  test('when others may write the private directory', async () => {
    const box = await freshBox()
    const {privateDir} = await box.equip()
    await chmod(privateDir, 0o777)
    await expect(box.equip()).rejects.toMatchObject({
      code: 'TARGET_UNWRITABLE',
      message: expect.stringContaining('written by others'),
    })
  })

  test('when it answers nonsense', async () => {
    const bin = await scratch()
    await program(join(bin, 'liar'), 'cat > /dev/null; echo "dumont-equip 1 {not json"')
    const box = await freshBox({pythons: [join(bin, 'liar')]})
    await expect(box.equip()).rejects.toMatchObject({
      code: 'WORKER',
      message: expect.stringContaining('no sense'),
    })
  })

  test('when it names helpers nobody asked for', async () => {
    const bin = await scratch()
    const answer = {
      driver: false,
      free: 1,
      key: 'other',
      libc: null,
      native: true,
      numpy: true,
      nvcomp: false,
      pip: false,
      platform: 'cp311-x86_64',
      private: '/x',
      python: '/x',
      serving: false,
      uv: null,
      version: '3',
      worker: true,
    }
    await program(
      join(bin, 'liar'),
      `cat > /dev/null; echo 'dumont-equip 1 ${JSON.stringify({ok: answer})}'`,
    )
    const box = await freshBox({pythons: [join(bin, 'liar')]})
    await expect(box.equip()).rejects.toMatchObject({code: 'WORKER'})
  })
})

describe('a box that is to serve', () => {
  test('starts the worker in the round trip that finds nothing missing', async () => {
    const box = await freshBox({serve: true})
    const first = await box.equip()
    expect(first.running).toBeUndefined()
    box.calls.length = 0
    const {argv, running} = await box.equip()
    expect(argv).toEqual(first.argv)
    expect(await saidBy(running)).toBe('helper-one numpy\n')
    expect(await running?.exited).toBe(0)
    expect(box.calls).toEqual([['sh']])
  })

  test('keeps what was sent to the worker at once for it', async () => {
    const box = await freshBox({serve: true, worker: 'import sys\nprint(sys.stdin.read())\n'})
    await box.equip()
    const {running} = await box.equip()
    running?.stdin.end('a request')
    expect(await saidBy(running)).toBe('a request\n')
  })

  test('starts no worker that was tampered with', async () => {
    const box = await freshBox({serve: true})
    const {workerPath} = await box.equip()
    await writeFile(join(workerPath, 'module.py'), 'WORD = 2\n')
    expect((await box.equip()).running).toBeUndefined()
    const {running} = await box.equip()
    expect(await saidBy(running)).toBe('helper-one numpy\n')
  })

  test('ends like its worker, and tries no other Python then', async () => {
    const box = await freshBox({
      pythons: [python, python],
      serve: true,
      worker: 'import sys\nprint("once")\nsys.exit(9)\n',
    })
    await box.equip()
    const {running} = await box.equip()
    expect(await saidBy(running)).toBe('once\n')
    expect(await running?.exited).toBe(9)
  })

  test('is asked by the Python that served, whatever lies on the PATH', async () => {
    const {box, tries} = await boxWithSlowPython()
    await box.equip()
    await saidBy((await box.equip()).running)
    expect(await tries()).toBe(2)
    expect(await saidBy((await box.equip()).running)).toBe('helper-one numpy\n')
    expect(await tries()).toBe(2)
  })

  test('is searched again when that Python is gone', async () => {
    const {box, tries} = await boxWithSlowPython()
    await box.equip()
    await saidBy((await box.equip()).running)
    await writeFile(join(box.home, '.cache/dumont/python'), '/nowhere/python\n')
    expect(await saidBy((await box.equip()).running)).toBe('helper-one numpy\n')
    expect(await tries()).toBe(3)
  })

  test('believes no name of a Python in a directory of somebody else', async () => {
    const {box, tries} = await boxWithSlowPython()
    const bin = await scratch()
    await program(join(bin, 'python'), `touch ${join(bin, 'was-run')}`)
    await mkdir(join(box.home, '.cache/dumont'), {mode: 0o700, recursive: true})
    const name = join(box.home, '.cache/dumont/python')
    await writeFile(name, `${join(bin, 'python')}\n`)
    if (process.getuid?.() !== 0) return
    await chown(name, 1, 1)
    await box.equip()
    expect(await readdir(bin)).toEqual(['python'])
    expect(await tries()).toBe(1)
  })
})

async function boxWithSlowPython() {
  const bin = await scratch()
  const log = join(bin, 'tries')
  await program(join(bin, 'python3'), `echo >>${log}; exec ${python} "$@"`)
  const env = {PATH: `${bin}:/usr/bin:/bin`}
  const box = await freshBox({env, pythons: 'usual', serve: true})
  const tries = async () => (await readFile(log, 'utf8')).length
  return {box, tries}
}

async function saidBy(running: RemoteProcess | undefined): Promise<string> {
  if (!running) throw new Error('no worker was started')
  running.stdin.end()
  const pieces: Buffer[] = []
  for await (const piece of running.stdout) pieces.push(Buffer.from(piece))
  return Buffer.concat(pieces).toString()
}

test('equipping stops when told to', async () => {
  const box = await freshBox()
  await expect(box.equip(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
})

describeWithSshd('over SSH', () => {
  let sshd: Sshd
  beforeAll(async () => {
    sshd = await startSshd()
  })
  afterAll(() => sshd.close())

  test('a box is equipped, and the second time costs one round trip', async () => {
    const session = await openSshSession(loopbackTarget(sshd), quietDependencies())
    const box = await boxOver(session, {home: sshd.home})
    const equipped = await box.equip()
    expect(equipped.privateDir).toBe(join(sshd.home, '.cache', 'dumont'))
    expect(await runWorker(session, equipped)).toBe('helper-one numpy\n')
    box.calls.length = 0
    await box.equip()
    expect(box.calls).toEqual([['sh']])
    await session.close()
  })
})

interface BoxOptions {
  /** Python text run with the equip script on the box. */
  readonly appended?: string
  readonly cacheDir?: string
  /** Pinned for sealed stores. */
  readonly cipher?: FakeWheel
  readonly env?: Record<string, string>
  readonly index?: ReturnType<typeof fakeIndex>
  readonly pinned?: readonly FakeWheel[]
  readonly platforms?: readonly string[]
  readonly pythons?: readonly string[] | 'usual'
  readonly requirement?: string
  readonly sealed?: boolean
  readonly serve?: boolean
  /** Python text of the worker. */
  readonly worker?: string
}

async function freshBox(options: BoxOptions = {}) {
  const home = await scratch()
  const env = {HOME: home, PATH: '/usr/bin:/bin', ...options.env}
  return boxOver(openLocalSession(env), {...options, home})
}

async function boxOver(session: Session, options: BoxOptions & {readonly home: string}) {
  const {cacheDir = await scratch(), home, index = fakeIndex(wheels), serve = false} = options
  const {sealed = false} = options
  const pythons = options.pythons === 'usual' ? undefined : (options.pythons ?? [python])
  const calls: (readonly string[])[] = []
  const counted: Session = {
    ...session,
    exec: (argv, execOptions) => {
      calls.push(argv)
      return session.exec(argv, execOptions)
    },
    start: (argv, signal) => {
      calls.push(argv)
      return session.start(argv, signal)
    },
  }
  const source = {cacheDir, fetch: index.fetch, indexUrl: index.indexUrl}
  const bundle = bundleOf(options)
  const equip = (signal?: AbortSignal) =>
    equipBox(counted, {bundle, ...(pythons && {pythons}), sealed, serve, wheels: source}, signal)
  return {calls, equip, home, index, session}
}

function bundleOf({
  appended = '',
  cipher,
  pinned = wheels,
  platforms = PLATFORMS,
  requirement,
  worker: text,
}: BoxOptions): WorkerBundle {
  const archive = text === undefined ? worker : fakeWheel('worker', {'__main__.py': text}).bytes
  const native = requirement ?? pinned[0]?.requirement ?? ''
  const entries = platforms.flatMap((platform) => [
    [`native-${platform}`, native],
    [`numpy-${platform}`, pinned[1]?.requirement ?? ''],
    ...(cipher ? [[`seal-${platform}`, cipher.requirement]] : []),
  ])
  return {
    equip: script + appended,
    requirements: Object.fromEntries(entries),
    sha256: createHash('sha256').update(archive).digest('hex'),
    worker: archive,
  }
}

const PLATFORMS = ['x86_64', 'aarch64'].flatMap((machine) =>
  [10, 11, 12, 13, 14].map((minor) => `cp3${minor}-${machine}`),
)

async function runWorker(session: Session, {argv}: EquippedBox): Promise<string> {
  const [program_ = '', dashI = '', workerPath = '', , native = ''] = argv
  const {stdout, stderr} = await session.exec([program_, dashI, workerPath, '--native', native])
  return Buffer.from(stdout).toString() + stderr
}

/** Where the module of the fake worker lies compiled. */
async function bytecode(workerPath: string): Promise<string> {
  const folder = join(workerPath, '__pycache__')
  const name = (await readdir(folder)).find((one) => one.startsWith('module.'))
  return join(folder, name ?? 'nothing was compiled')
}

async function fakeUv(home: string, text: string): Promise<void> {
  await mkdir(join(home, '.local', 'bin'), {recursive: true})
  await program(join(home, '.local', 'bin', 'uv'), text)
}

/** Shell text that does what `--target DIR` asks for. */
function unzipInto(content: readonly FakeWheel[]): string {
  const modules = content.map(({name}) => name.replaceAll('-', '_'))
  const makes = modules.map(
    (name) => `mkdir -p "$1/${name}"; echo 'WORD = "${name}"' > "$1/${name}/__init__.py"`,
  )
  return `while [ "$1" != --target ]; do shift; done; shift; ${makes.join('; ')}`
}

async function program(file: string, text: string): Promise<void> {
  await writeFile(file, `#!/bin/sh\n${text}\n`, {mode: 0o755})
}

async function scratch(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'equip-'))
  made.push(directory)
  return directory
}
