import type {PackRecord} from '../format/pack-list.js'
import type {Report} from '../progress/events.js'

/** Tells how far the reading of packs has come; each pack counts once. */
export class ReadMeter {
  readonly #report: Report
  readonly #counted = new Set<string>()
  readonly #total: number
  #done = 0
  #read = 0

  /** `total`: bytes of all packs that will be told of. */
  constructor(total: number, report: Report) {
    this.#total = total
    this.#report = report
  }

  /** A pack that was read, or (`earlier`) need not be because an earlier run did. */
  done({key, length}: PackRecord, earlier = false): void {
    if (!earlier) this.#read += length
    if (!this.#counted.has(key)) this.#done += length
    this.#counted.add(key)
    this.#report({
      kind: 'transfer',
      progress: {
        files: 0,
        filesTotal: 0,
        parts: [],
        phase: 'verify',
        raw: this.#done,
        rawTotal: this.#total,
        stored: 0,
        transferred: this.#read,
      },
    })
  }
}
