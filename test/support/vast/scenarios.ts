import {BOOT_SCENARIOS, BOOTS, RUNNING} from './boot-scenarios.js'
import {BROKEN, TOO_OFTEN} from './faults.js'
import {RESUME} from './instance.js'
import {LIFE_SCENARIOS} from './life-scenarios.js'
import {OFFER_SCENARIOS} from './offer-scenarios.js'
import {answer, faults, life, on, type Scenario, scenario} from './scenario.js'

const NORMAL: readonly Scenario[] = [
  scenario(4, 'an attached key lets in after a while', life({keyAfterMs: 20_000})),
  scenario(
    6,
    'a started box waits for its GPU for ever',
    on((one) => {
      one.life = {...one.life, resume: RESUME.slice(0, 1)}
    }),
  ),
  scenario(8, 'results come late', (fake) => {
    fake.resultRefusals = [404, 404, 403, 404]
  }),
]

const LIMITS: readonly Scenario[] = [
  scenario(10, 'the key may not write', (fake) => void fake.scopes.delete('instance_write')),
  ...Object.values(TOO_OFTEN).flatMap((reply, kind) =>
    ['list', 'show', 'search', 'create', 'destroy'].map((endpoint) =>
      scenario(
        11,
        `too often: ${endpoint}, wording ${kind}`,
        faults(endpoint, {kind: 'reply', reply}),
      ),
    ),
  ),
  ...['list', 'show', 'search', 'create', 'attach', 'destroy'].flatMap((endpoint) => [
    scenario(12, `${endpoint}: reset before the work`, faults(endpoint, {kind: 'reset'})),
    scenario(
      12,
      `${endpoint}: reset after the work`,
      faults(endpoint, {kind: 'reset', after: true}),
    ),
    scenario(12, `${endpoint}: half an answer`, faults(endpoint, {kind: 'truncate'})),
    scenario(
      12,
      `${endpoint}: a gateway's page after the work`,
      faults(endpoint, {kind: 'reply', reply: BROKEN.gateway, after: true}),
    ),
  ]),
  scenario(
    13,
    '200 with success: false',
    faults('manage', answer(200, {success: false, msg: 'no'})),
  ),
  scenario(
    15,
    'a status nobody knows',
    life({boot: [...BOOTS.newWord, {afterMs: 30_000, set: RUNNING}]}),
  ),
]

/** Those that are arranged; 1, 2, 3, 5, 7 and 9 are how the fake always is, 14, 31 and 38 need more than it. */
export const SCENARIOS: readonly Scenario[] = [
  ...NORMAL,
  ...LIMITS,
  ...OFFER_SCENARIOS,
  ...BOOT_SCENARIOS,
  ...LIFE_SCENARIOS,
]
