import {randomBytes} from 'node:crypto'
import {join, resolve} from 'node:path'
import type {BaseCommand} from './base-command.js'
import {systemClock} from './lib/clock.js'
import type {Step} from './lib/progress/events.js'
import {processEnvironment} from './lib/settings/environment.js'
import {loadSettings, type Settings} from './lib/settings/load-settings.js'
import {homeOf} from './lib/settings/xdg.js'
import type {BoxService} from './lib/snapshots/service.js'
import type {Store} from './lib/store/store.js'
import {openView} from './ui/open-view.js'
import {askHostKey, askPassphrase, type HostKeyQuestion} from './ui/questions.js'
import type {View} from './ui/view.js'

/** Asked only for boxes that cannot install the native helpers by themselves; every wheel is pinned by hash. */
const PACKAGE_INDEX = 'https://pypi.org/simple'

interface Shown {
  readonly hosts: readonly string[]
  readonly steps: readonly Step[]
}

export interface Operator {
  /** Runs one service under its progress view; the store is closed and the view ended whatever happens. */
  use<T>(work: (service: BoxService, settings: Settings) => Promise<T>): Promise<T>
  /** Asks while the view leaves the screen alone. */
  readonly whileAsking: View['whileAsking']
}

/** Where flags, environment, configuration, store, SSH and the views meet: what a service stands on. */
export async function openOperator(
  command: BaseCommand,
  flags: Readonly<Record<string, unknown>>,
  shown: Shown,
): Promise<Operator> {
  const env = processEnvironment()
  const settings = await loadSettings({cwd: process.cwd(), env, flags})
  const [{openStore}, view] = await Promise.all([
    import('./lib/store/open-store.js'),
    openView({
      ...shown,
      clock: systemClock,
      json: command.jsonEnabled(),
      quiet: command.isQuiet,
      stream: command.isStream,
    }),
  ])
  return {
    whileAsking: view.whileAsking,
    async use(work) {
      let store: Store | undefined
      try {
        store = await openStore(settings.store, {clock: systemClock}, command.signal)
        const service = boxService(command, {flags, settings, store, view})
        const result = await work(service, settings)
        await view.succeed()
        return result
      } catch (error) {
        await view.fail()
        throw error
      } finally {
        await store?.close()
      }
    },
  }
}

interface Wiring {
  readonly flags: Readonly<Record<string, unknown>>
  readonly settings: Settings
  readonly store: Store
  readonly view: View
}

function boxService(command: BaseCommand, {flags, settings, store, view}: Wiring): BoxService {
  const env = processEnvironment()
  const {report, whileAsking} = view
  const canAsk = process.stdin.isTTY && process.stderr.isTTY && !command.jsonEnabled()
  const passphrases = new Map<string, string>()
  const dependencies = {
    clock: systemClock,
    env,
    home: homeOf(env),
    hostKeyPolicy: {
      acceptNew: flags['accept-new-host-key'] === true,
      ...(canAsk
        ? {
            ask: (question: HostKeyQuestion) =>
              whileAsking(() => askHostKey(question, command.signal)),
          }
        : {}),
    },
    identities: ((flags['identity'] ?? []) as readonly string[]).map((file) => resolve(file)),
    notice: (message: string) => report({kind: 'note', message}),
    passphrases,
    ...(canAsk
      ? {askPassphrase: (file: string) => whileAsking(() => askPassphrase(file, command.signal))}
      : {}),
  }
  return {
    cacheDir: settings.directories.cache,
    clock: systemClock,
    equip: async (session, signal) => {
      const {equipBox} = await import('./lib/worker/equip-box.js')
      const {loadWorkerBundle} = await import('./lib/worker/worker-bundle.js')
      const wheels = {
        cacheDir: join(settings.directories.cache, 'wheels'),
        fetch,
        indexUrl: env['PIP_INDEX_URL'] ?? PACKAGE_INDEX,
      }
      return equipBox(session, {bundle: await loadWorkerBundle(), wheels}, signal)
    },
    openSession: async (host, signal) => {
      const {openSession} = await import('./lib/remote/open-session.js')
      return openSession(host, dependencies, signal)
    },
    random: randomBytes,
    report,
    stateDir: settings.directories.state,
    store,
    version: command.config.version,
  }
}
