import {readdirSync, readFileSync, lstatSync} from 'node:fs'
import {join} from 'node:path'
import {gunzipSync} from 'node:zlib'

/** Where a secret was found, never the secret itself. */
export type Sighting = string

interface Needle {
  readonly name: string
  readonly bytes: Buffer
}

/** Looks for planted secrets in all that a program leaves behind and shows of itself while it runs. */
export class SecretHunt {
  readonly #needles: Needle[] = []
  readonly #seen = new Set<Sighting>()
  /** Bytes that were looked through; a hunt through nothing proves nothing. */
  looked = 0
  /** Processes that were looked at. */
  readonly processes = new Set<number>()

  /** As it is, and as it would look written down in the usual ways. */
  plant(name: string, secret: Uint8Array | string): void {
    const plain = Buffer.from(secret)
    if (plain.length < 8) throw new Error(`${name} is too short to be told from chance`)
    const forms = [
      plain,
      plain.toString('hex'),
      plain.toString('hex').toUpperCase(),
      encodeURIComponent(plain.toString('latin1')),
      ...inBase64(plain),
    ]
    for (const form of forms) this.#needles.push({name, bytes: Buffer.from(form)})
  }

  get sightings(): readonly Sighting[] {
    return [...this.#seen].toSorted()
  }

  look(where: string, bytes: Uint8Array | string): void {
    const hay = Buffer.from(bytes)
    this.looked += hay.length
    for (const {bytes: needle, name} of this.#needles)
      if (hay.includes(needle)) this.#seen.add(`${name} in ${where}`)
    if (hay[0] !== 0x1f || hay[1] !== 0x8b) return
    try {
      this.look(`${where} (unpacked)`, gunzipSync(hay))
    } catch {
      // Only looks like gzip.
    }
  }

  /** Every file below a folder, its name too; `isLeftOut` is asked for paths relative to it. */
  lookBelow(folder: string, isLeftOut: (path: string) => boolean = () => false): void {
    for (const name of readdirSync(folder, {encoding: 'utf8', recursive: true})) {
      if (isLeftOut(name)) continue
      const path = join(folder, name)
      this.look(`the name of ${path}`, name)
      if (lstatSync(path).isFile()) this.look(path, readFileSync(path))
    }
  }

  /**
   * Arguments and environment of every process that names one of the places, again and again until stopped. `isOperators`: a
   * process that was given the secrets by its operator in its own environment, of which only the arguments count.
   */
  watch(places: readonly string[], isOperators: (pid: number) => boolean): () => void {
    const look = () => {
      for (const name of readdirSync('/proc')) {
        if (!/^\d+$/u.test(name)) continue
        const [line, environment] = [read(`/proc/${name}/cmdline`), read(`/proc/${name}/environ`)]
        if (!places.some((place) => line.includes(place) || environment.includes(place))) continue
        this.processes.add(Number(name))
        const told = line.replaceAll(/\d+/gu, 'N').replaceAll('\0', ' ').slice(0, 60)
        this.look(`arguments of ${told}`, line)
        if (!isOperators(Number(name))) this.look(`environment of ${told}`, environment)
      }
    }
    const timer = setInterval(look, 25)
    return () => clearInterval(timer)
  }
}

/** Base64 of bytes depends on where they begin in what was encoded; the letters at both ends on their neighbours. */
function inBase64(bytes: Buffer): string[] {
  return [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replaceAll('=', '')
    return text.slice(before === 0 ? 0 : before + 1, -2)
  })
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
