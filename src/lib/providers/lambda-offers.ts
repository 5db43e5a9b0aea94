import * as v from 'valibot'
import {lenient, told} from './told.js'
import {type LambdaType, priceOf, typeSchema, typeSpec} from './lambda-instance.js'
import {offerMismatch} from './offer-match.js'
import type {Offer, SearchOptions, Spec} from './provider.js'

export const catalogSchema = v.object({
  data: v.record(
    v.string(),
    v.object({
      instance_type: typeSchema,
      regions_with_capacity_available: v.fallback(
        v.array(lenient(v.object({name: told.text}))),
        [],
      ),
    }),
  ),
})

/** Where an offer is; it is the offer's id. */
export interface LambdaPlace {
  readonly type: string
  readonly region: string
}

export function parsePlace(id: string): LambdaPlace | undefined {
  const match = /^(\w{1,100})@([a-z0-9-]{1,60})$/u.exec(id)
  return match ? {type: match[1] ?? '', region: match[2] ?? ''} : undefined
}

/** One offer for each type and region that says it has room; the vendor keeps none of it free. */
export function lambdaOffers(
  {data}: v.InferOutput<typeof catalogSchema>,
  wanted: Spec,
  options?: SearchOptions,
): readonly Offer[] {
  return Object.values(data)
    .flatMap(({instance_type: type, regions_with_capacity_available: regions}) =>
      regions.flatMap((region) => (region?.name === undefined ? [] : offerAt(type, region.name))),
    )
    .filter((offer) => offerMismatch(offer, wanted, options) === undefined)
}

function offerAt(type: LambdaType, region: string): Offer {
  return {
    id: `${type.name}@${region}`,
    machine: undefined,
    spec: typeSpec(type, region),
    hourly: priceOf(type) ?? Number.NaN,
    storagePerGBMonth: 0,
    upCostPerGB: 0,
    downCostPerGB: 0,
    downMbps: undefined,
    upMbps: undefined,
    reliability: undefined,
  }
}
