// A TCP proxy with latency, jitter and stalls, for bench/link.js, which netem would serve where the kernel has it.
// usage: node link-proxy.js ADDRESS PORT TARGET_PORT DELAY_MS JITTER_MS   (delay: there and back together)
// A line on stdin: `hold` stops all bytes, `hold-one` those of one busy connection for ever, `release` ends `hold`.
// The end of stdin ends the proxy.
import {connect, createServer} from 'node:net'
import {createInterface} from 'node:readline'

const [address, port, targetPort, delay, jitter] = process.argv.slice(2)
// What is on its way; a link that stalls swallows no more.
const MOST_HELD = Number(delay) > 0 ? 4 << 20 : 1 << 16
const BUSY = 1 << 20

const pumps = new Set()
const link = {isHeld: false}

/** One direction of a connection: bytes leave in their order, each piece no earlier than it is due. */
class Pump {
  carried = 0
  isHeld = false
  #queue = []
  #held = 0
  #due = 0
  #isBlocked = false

  constructor(from, to) {
    this.from = from
    this.to = to
    from.on('data', (piece) => this.#take(piece))
    from.on('end', () => this.#take(undefined))
    to.on('drain', () => {
      this.#isBlocked = false
      this.move()
    })
  }

  #take(piece) {
    const late = Number(delay) / 2 + (Math.random() - 0.5) * Number(jitter)
    this.#due = Math.max(this.#due, performance.now() + late)
    this.#queue.push({due: this.#due, piece})
    this.#held += piece?.length ?? 0
    if (this.#held > MOST_HELD) this.from.pause()
    if (late <= 0) this.move()
    else setTimeout(() => this.move(), late)
  }

  move() {
    while (this.#queue.length > 0 && !this.#isBlocked && !link.isHeld && !this.isHeld) {
      const {due, piece} = this.#queue[0]
      const wait = due - performance.now()
      if (wait > 0) {
        setTimeout(() => this.move(), wait)
        return
      }
      this.#queue.shift()
      if (piece === undefined) {
        this.to.end()
        return
      }
      this.#isBlocked = !this.to.write(piece)
      this.carried += piece.length
      this.#held -= piece.length
      if (this.#held < MOST_HELD / 2) this.from.resume()
    }
  }
}

const server = createServer({allowHalfOpen: true, noDelay: true}, (near) => {
  const far = connect({allowHalfOpen: true, host: address, noDelay: true, port: Number(targetPort)})
  const pair = [new Pump(near, far), new Pump(far, near)]
  for (const pump of pair) pumps.add(pump)
  for (const socket of [near, far])
    socket
      .on('error', () => {})
      .on('close', () => {
        for (const pump of pair) pumps.delete(pump)
        near.destroy()
        far.destroy()
      })
})
server.listen(Number(port), address, () => process.stdout.write('ready\n'))

const commands = {
  hold() {
    link.isHeld = true
  },
  'hold-one'() {
    const one = [...pumps].find(({carried}) => carried > BUSY)
    if (one) one.isHeld = true
    process.stdout.write(one ? 'held\n' : 'none\n')
  },
  release() {
    link.isHeld = false
    for (const pump of pumps) pump.move()
  },
}
createInterface({input: process.stdin})
  .on('line', (line) => commands[line]?.())
  .on('close', () => process.exit())
