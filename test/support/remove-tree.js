import {execFileSync} from 'node:child_process'
import {readFileSync} from 'node:fs'

/** Removes whatever tests have left, unless something is mounted in it: what lies behind a mount is not theirs. */
export function removeTree(root) {
  const inside = mountPoints().filter((point) => point.startsWith(`${root}/`))
  if (inside.length > 0) {
    process.stderr.write(`LEFT: ${root}, for something is mounted at ${inside.join(', ')}\n`)
    return
  }
  try {
    // Node's own rm cannot name what lies below PATH_MAX, and folders of mode 555 stop everyone but root.
    if (process.getuid?.() !== 0) execFileSync('chmod', ['-R', 'u+rwX', root])
    execFileSync('rm', ['-rf', root])
  } catch (error) {
    process.stderr.write(`LEFT: ${root}: ${error.message}\n`)
  }
}

function mountPoints() {
  try {
    const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
    return lines.map((line) => (line.split(' ')[4] ?? '').replaceAll(String.raw`\040`, ' '))
  } catch {
    return []
  }
}
