import {run, say} from './run-step.js'

/** Installs Debian packages where this is root on a Debian; elsewhere says what is missing. Never asks. */
export async function installSystem(packages) {
  say(`system packages: ${packages.join(', ')}`)
  const isDebian = (await run(['apt-get', '--version'], {capture: true})).code === 0
  if (process.getuid?.() !== 0 || !isDebian) {
    process.stderr.write('Not root on a Debian: install these yourself to run every test.\n')
    return
  }
  const env = {DEBIAN_FRONTEND: 'noninteractive'}
  const apt = ['apt-get', '-q', '-o', 'Acquire::Retries=3', '-o', 'DPkg::Lock::Timeout=120']
  await run([...apt, 'update'], {env, minutes: 5})
  await run([...apt, 'install', '-y', '--no-install-recommends', ...packages], {env})
}
