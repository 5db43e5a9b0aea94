import type {CreateResult} from '../worker/results.js'

/** What a codec made of a sample, and what follows for the whole. */
export interface CodecForecast {
  readonly codec: string
  /** Of the sample, in bytes. */
  readonly raw: number
  readonly stored: number
  readonly seconds: number
  /** How many of it would work side by side. */
  readonly lanes: number
  /** Raw bytes a second, of all lanes. */
  readonly rate: number
  /** Seconds for everything by codec and uplink, whichever takes longer; by the codec alone where the uplink is unknown. */
  readonly expected: number
}

type Row = NonNullable<CreateResult['sample']>[number]

/** Adds rate and expected time; 0 where a sample is too small to tell. */
export function forecast(
  row: Row,
  {bytes, uplink}: Pick<CreateResult, 'bytes' | 'uplink'>,
): CodecForecast {
  const {lanes, raw, seconds, stored} = row
  const rate = seconds > 0 ? (raw * lanes) / seconds : 0
  const coding = rate > 0 ? bytes.raw / rate : 0
  const sending = uplink && raw > 0 ? (bytes.raw * stored) / raw / uplink : 0
  return {...row, rate, expected: Math.max(coding, sending)}
}
