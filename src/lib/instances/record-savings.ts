import {savingsOf, type HibernationUse, type Savings} from '../providers/savings.js'
import type {RecordedMachine} from './record.js'

/** What vendors bill storage by. */
const MONTH_HOURS = 720
/** Of a pack, about: each is one write. */
const PACK_BYTES = 8 * 1024 * 1024

type Sleep = Pick<HibernationUse, 'minutes' | 'storedBytes' | 'uploadedBytes'> &
  Partial<Pick<HibernationUse, 'downloadedBytes' | 'hours'>>

/** What a box costs asleep compared with running or stopped, by its own vendor's prices; a month unless said otherwise. */
export function savingsOfSleep(
  {downCostPerGB, hourly, spec, storagePerGBMonth, upCostPerGB}: RecordedMachine,
  {downloadedBytes = 0, hours = MONTH_HOURS, minutes, storedBytes, uploadedBytes}: Sleep,
): Savings | undefined {
  if (hourly === null || spec === null) return undefined
  return savingsOf(
    {
      hourly,
      diskGB: spec.diskGB,
      storagePerGBMonth: storagePerGBMonth ?? undefined,
      upCostPerGB: upCostPerGB ?? 0,
      downCostPerGB: downCostPerGB ?? 0,
    },
    {
      hours,
      minutes,
      storedBytes,
      uploadedBytes,
      downloadedBytes,
      writes: Math.ceil(uploadedBytes / PACK_BYTES),
    },
  )
}
