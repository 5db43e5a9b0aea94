import type {FakeVast} from './fake-vast.js'
import {offerRow} from './offers.js'
import {type Fields, refusal} from './reply.js'
import {answer, faults, life, type Scenario, scenario} from './scenario.js'

const offersLike = (change: Fields) => (fake: FakeVast) => {
  fake.offers = fake.offers.map((offer) => ({...offer, ...change}))
}
export const OFFER_SCENARIOS: readonly Scenario[] = [
  scenario(16, 'nothing is offered', (fake) => {
    fake.offers = []
  }),
  scenario(
    16,
    'rows that do not match',
    faults('search', {
      kind: 'edit',
      edit: ({offers}) => ({
        offers: [
          {...offerRow(999, {gpu_name: 'GTX 1060'}), dph_total: 0.01},
          ...(offers as unknown[]),
        ],
      }),
    }),
  ),
  scenario(
    16,
    'one offer instead of a list',
    faults('search', {
      kind: 'edit',
      edit: ({offers}) => ({offers: Array.isArray(offers) ? offers[0] : offers}),
    }),
  ),
  scenario(
    17,
    'the offer is gone, told with 404',
    faults('create', {
      kind: 'reply',
      reply: refusal(404, 'invalid_args', 'error 404/3603: no_such_ask'),
    }),
  ),
  scenario(17, 'the offer is taken before the create', (fake) => {
    fake.beforeCreate = (id) => {
      fake.offers = fake.offers.filter((offer) => offer.id !== id)
      fake.beforeCreate = undefined
    }
  }),
  scenario(17, 'every offer is taken before the create', (fake) => {
    fake.beforeCreate = () => {
      fake.offers = []
    }
  }),
  scenario(18, 'the price rises before the create', (fake) => {
    fake.beforeCreate = () => {
      offersLike({dph_base: 5})(fake)
      fake.beforeCreate = undefined
    }
  }),
  scenario(19, 'the bid is too low by now', (fake) => {
    fake.beforeCreate = () => {
      offersLike({min_bid: 100})(fake)
      fake.beforeCreate = undefined
    }
  }),
  scenario(20, 'rented on demand although a bid was made', life({record: {is_bid: false}})),
  scenario(21, 'no credit', (fake) => {
    fake.account.credit = 0
  }),
  scenario(
    21,
    'a new account spends too fast',
    faults('create', answer(400, {success: false, error: 'spend_rate_limit', msg: 'slow down'})),
  ),
]
