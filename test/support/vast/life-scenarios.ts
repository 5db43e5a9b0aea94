import {RUNNING} from './boot-scenarios.js'
import {TOO_OFTEN} from './faults.js'
import {STOPPED} from './instance.js'
import {refusal} from './reply.js'
import {answer, faults, on, type Scenario, scenario} from './scenario.js'

export const LIFE_SCENARIOS: readonly Scenario[] = [
  scenario(
    32,
    'outbid',
    on((one) => one.stop()),
  ),
  scenario(
    33,
    'moves when it starts again',
    on((one) => {
      one.life = {...one.life, moves: true}
      one.stop()
      void one.start()
    }),
  ),
  scenario(
    34,
    'the host goes offline',
    on((one) => one.become({actual_status: 'offline'})),
  ),
  scenario(
    34,
    'the host is away for two minutes',
    on((one) => {
      one.live([
        {afterMs: 0, set: {actual_status: 'offline'}},
        {afterMs: 120_000, set: RUNNING},
      ])
      one.cut()
    }),
  ),
  scenario(35, 'the balance is used up', (fake) => fake.stopAll()),
  scenario(
    35,
    'the contract ends',
    on((one, fake) => {
      one.life = {...one.life, record: {...one.life.record, end_date: fake.clock.now() / 1000}}
      one.become(STOPPED)
    }),
  ),
  scenario(
    36,
    'somebody else destroys it',
    on((one, fake) => void fake.destroy(one)),
  ),
  ...['no_such_instance', 'not_found'].map((error) =>
    scenario(
      37,
      `destroy says ${error}`,
      faults('destroy', {kind: 'reply', reply: refusal(404, error), after: true}),
    ),
  ),
  scenario(
    37,
    'too often for a destroy, three times',
    faults('destroy', {kind: 'reply', reply: TOO_OFTEN.text}, 3),
  ),
  scenario(
    37,
    'still in the records after its end',
    on((one) => {
      one.life = {...one.life, lingeringReads: 3}
    }),
  ),
  scenario(
    37,
    'destroy is refused once',
    faults('destroy', answer(200, {success: false, msg: 'busy'})),
  ),
]
