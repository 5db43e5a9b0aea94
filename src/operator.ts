import {randomBytes} from 'node:crypto'
import {join, resolve} from 'node:path'
import type {BaseCommand} from './base-command.js'
import {systemClock} from './lib/clock.js'
import type {KeyPlace} from './lib/keys/open-keyed.js'
import type {Step} from './lib/progress/events.js'
import type {PinnedKeys} from './lib/remote/pinned-keys.js'
import {processEnvironment} from './lib/settings/environment.js'
import {loadSettings, type Settings} from './lib/settings/load-settings.js'
import {homeOf} from './lib/settings/xdg.js'
import type {BoxService, Equip} from './lib/snapshots/service.js'
import type {Store} from './lib/store/store.js'
import type {NvcompOptions} from './lib/worker/equip-nvcomp.js'
import {openView} from './ui/open-view.js'
import {askHostKey, askPassphrase, type HostKeyQuestion} from './ui/questions.js'
import type {View} from './ui/view.js'
import {beginningOf, canAsk, keyPathsOf, keyPlace} from './unlocking.js'

/** Asked only for boxes that cannot install the native helpers by themselves; every wheel is pinned by hash. */
const PACKAGE_INDEX = 'https://pypi.org/simple'

interface Shown {
  readonly hosts: readonly string[]
  readonly steps: readonly Step[]
  /** Steps are told as they come, some of them several times, instead of as a list that is known before. */
  readonly story?: boolean
  /** The command may be the first to use a store. */
  readonly creates?: boolean
  /** It writes into a store that is there. */
  readonly writes?: boolean
  /** The store is used as it lies there: no key is looked for. */
  readonly closed?: boolean
}

export interface Operator {
  readonly settings: Settings
  /** From now on connections to this host are held to keys of its own. */
  readonly pinHost: (host: string, pin: PinnedKeys) => void
  /** Runs one service under its progress view; the store is closed and the view ended whatever happens. */
  use<T>(work: (service: BoxService, settings: Settings) => Promise<T>): Promise<T>
  /** Where keys to the store come from here. */
  readonly keyPlace: KeyPlace
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
  const pins = new Map<string, PinnedKeys>()
  return {
    keyPlace: keyPlace(command, settings, view),
    pinHost: (host, pin) => pins.set(host, pin),
    settings,
    whileAsking: view.whileAsking,
    async use(work) {
      let store: Store | undefined
      try {
        store = await openStore(settings.store, {clock: systemClock}, command.signal)
        const opened = shown.closed
          ? {store}
          : await unlocked(command, {flags, settings, shown, store, view})
        const service = boxService(command, {...opened, flags, pins, settings, view})
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

/** Key files that were named, absolute. */
export function identitiesOf(flags: Readonly<Record<string, unknown>>): readonly string[] {
  return ((flags['identity'] ?? []) as readonly string[]).map((file) => resolve(file))
}

interface Unlocking {
  readonly flags: Readonly<Record<string, unknown>>
  readonly settings: Settings
  readonly shown: Shown
  readonly store: Store
  readonly view: View
}

async function unlocked(
  command: BaseCommand,
  {flags, settings, shown, store, view}: Unlocking,
): Promise<Pick<BoxService, 'coldUnlock' | 'store'>> {
  const {openKeyedStore} = await import('./lib/keys/open-keyed.js')
  const beginning = shown.creates ? beginningOf(command, flags, settings, view) : undefined
  const writes = shown.creates === true || shown.writes === true
  const place = {...keyPlace(command, settings, view), writes}
  const opened = await openKeyedStore(store, place, beginning, command.signal)
  const {unlocked: key} = opened
  if (!key) return {store: opened.store}
  const {coldUnlock} = await import('./lib/keys/cold-unlock.js')
  return {
    coldUnlock: (signal?: AbortSignal) => coldUnlock(store, key, randomBytes, signal),
    store: opened.store,
  }
}

interface Wiring extends Pick<BoxService, 'coldUnlock' | 'store'> {
  readonly flags: Readonly<Record<string, unknown>>
  readonly pins: ReadonlyMap<string, PinnedKeys>
  readonly settings: Settings
  readonly view: View
}

function boxService(
  command: BaseCommand,
  {coldUnlock, flags, pins, settings, store, view}: Wiring,
): BoxService {
  const env = processEnvironment()
  const {report, whileAsking} = view
  const asks = canAsk(command)
  const passphrases = new Map<string, string>()
  const dependencies = {
    clock: systemClock,
    env,
    home: homeOf(env),
    hostKeyPolicy: {
      acceptNew: flags['accept-new-host-key'] === true,
      ...(asks
        ? {
            ask: (question: HostKeyQuestion) =>
              whileAsking(() => askHostKey(question, command.signal)),
          }
        : {}),
    },
    identities: identitiesOf(flags),
    notice: (message: string) => report({kind: 'note', message}),
    passphrases,
    ...(asks
      ? {askPassphrase: (file: string) => whileAsking(() => askPassphrase(file, command.signal))}
      : {}),
  }
  const onInstall = (message: string) => report({kind: 'note', message})
  const equip =
    (need?: NvcompOptions['need']): Equip =>
    async (session, signal) => {
      const {equipBox} = await import('./lib/worker/equip-box.js')
      const {loadWorkerBundle} = await import('./lib/worker/worker-bundle.js')
      const wheels = {
        cacheDir: join(settings.directories.cache, 'wheels'),
        fetch,
        indexUrl: env['PIP_INDEX_URL'] ?? PACKAGE_INDEX,
      }
      const nvcomp = need === undefined ? {} : {nvcomp: {need, onInstall}}
      const bundle = await loadWorkerBundle()
      const sealed = store.keys?.protection === 'sealed'
      return equipBox(session, {bundle, sealed, serve: true, wheels, ...nvcomp}, signal)
    }
  return {
    cacheDir: settings.directories.cache,
    clock: systemClock,
    ...(coldUnlock && {coldUnlock}),
    equip: equip(),
    ...(settings.gpu === false ? {} : {equipNvcomp: equip}),
    keyPaths: keyPathsOf(settings, flags),
    openSession: async (host, signal) => {
      const {openSession} = await import('./lib/remote/open-session.js')
      const pin = pins.get(host)
      return openSession(host, {...dependencies, ...(pin && {pin})}, signal)
    },
    random: randomBytes,
    report,
    stateDir: settings.directories.state,
    store,
    version: command.config.version,
  }
}
