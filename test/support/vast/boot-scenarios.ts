import type {Step} from './instance.js'
import type {Fields} from './reply.js'
import {life, type Scenario, scenario} from './scenario.js'

const LOADING: Fields = {actual_status: 'loading', status_msg: 'Pulling from library/pytorch'}
export const RUNNING: Fields = {
  actual_status: 'running',
  cur_state: 'running',
  status_msg: 'success',
}

/** Boots of `life.boot`, by what becomes of them. */
export const BOOTS = {
  stuck: [{afterMs: 0, set: LOADING}],
  noManifest: [
    {afterMs: 0, set: LOADING},
    {afterMs: 60_000, set: {status_msg: 'Error response from daemon: manifest unknown: not found'}},
    {afterMs: 7 * 60_000, set: {intended_status: 'stopped'}},
  ],
  gaveUp: [
    {afterMs: 0, set: LOADING},
    {afterMs: 7 * 60_000, set: {intended_status: 'stopped'}},
  ],
  runtimeFailed: [
    {afterMs: 0, set: {actual_status: 'created', status_msg: 'OCI runtime create failed: runc'}},
  ],
  exited: [
    {afterMs: 0, set: LOADING},
    {afterMs: 20_000, set: {actual_status: 'exited', status_msg: null}},
  ],
  offline: [
    {afterMs: 0, set: LOADING},
    {afterMs: 20_000, set: {actual_status: 'offline'}},
  ],
  unknownThenFine: [
    {afterMs: 0, set: LOADING},
    {afterMs: 20_000, set: {actual_status: 'unknown'}},
    {afterMs: 40_000, set: RUNNING},
  ],
  blank: [{afterMs: 0, set: {actual_status: null, status_msg: null, ssh_host: null}}],
  newWord: [{afterMs: 0, set: {actual_status: 'levitating'}}],
} satisfies Record<string, readonly Step[]>

export const BOOT_SCENARIOS: readonly Scenario[] = [
  scenario(22, 'stuck while loading', life({boot: BOOTS.stuck})),
  scenario(23, 'no such image', life({boot: BOOTS.noManifest})),
  scenario(23, 'the vendor gives up', life({boot: BOOTS.gaveUp})),
  scenario(24, 'the container cannot be made', life({boot: BOOTS.runtimeFailed})),
  scenario(25, 'exits while loading', life({boot: BOOTS.exited})),
  scenario(25, 'goes offline while loading', life({boot: BOOTS.offline})),
  scenario(25, 'is unknown for a while', life({boot: BOOTS.unknownThenFine})),
  scenario(25, 'stays blank', life({boot: BOOTS.blank})),
  scenario(26, 'port 22 is not mapped', life({direct: 'absent'})),
  scenario(27, 'the direct port is silent', life({direct: 'filtered'})),
  scenario(
    27,
    'the proxy answers beside its port',
    life({direct: 'absent', proxy: 'beside', record: {image_runtype: 'jupyter ssh_proxy'}}),
  ),
  scenario(28, 'no key lets in for a minute', life({keyAfterMs: 60_000})),
  scenario(28, 'no key lets in ever', life({keyAfterMs: Number.POSITIVE_INFINITY})),
  scenario(29, 'not to be seen at first', life({hiddenReads: 3})),
  scenario(29, 'not to be found at first', life({hiddenReads: 3, hiddenAs: '404'})),
  scenario(30, 'fewer GPUs than offered', life({record: {num_gpus: 0}})),
  scenario(30, 'less disk than ordered', life({record: {disk_space: 10}})),
]
