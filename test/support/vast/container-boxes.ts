import {appendFile, mkdtemp, rm, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {type Container, startContainer} from '../container.js'
import type {BoxMaker, BoxOrder, FakeBox} from './box.js'

export interface ContainerBox extends FakeBox {
  readonly container: Container
}

export interface ContainerBoxes {
  readonly make: BoxMaker
  /** By instance; boxes of destroyed instances stay in it, closed. */
  readonly boxes: ReadonlyMap<number, ContainerBox>
  /** The box of an instance of this vendor's id. */
  of(id: number | string): ContainerBox
  close(): Promise<void>
}

/** A driver that shows one GPU on which nothing runs. */
const SMI = `#!/bin/sh
case "$1" in
  -L) echo 'GPU 0: NVIDIA GeForce RTX 4090 (UUID: GPU-0)';;
  --query-compute-apps=*) ;;
  *) exit 6;;
esac
`

/**
 * A container for each instance, as the vendor makes them: a disk of its own, its mark in the first process, no key let in
 * before it is attached, and a GPU as far as nvidia-smi tells. `lent` are directories of this machine by their place inside.
 */
export async function containerBoxes(
  lent: Readonly<Record<string, string>> = {},
): Promise<ContainerBoxes> {
  const tools = await mkdtemp(join(tmpdir(), 'dumont-smi-'))
  await writeFile(join(tools, 'nvidia-smi'), SMI, {mode: 0o755})
  const boxes = new Map<number, ContainerBox>()
  const made: ContainerBox[] = []
  const make = async (order: BoxOrder) => {
    const box = await startBox(order, {...lent, '/usr/local/sbin': tools})
    boxes.set(order.id, box)
    made.push(box)
    return box
  }
  const of = (id: number | string): ContainerBox => {
    const box = boxes.get(Number(id))
    if (!box) throw new Error(`no box was made for ${id}`)
    return box
  }
  const close = async () => {
    for (const box of made) await box.close()
    await rm(tools, {force: true, recursive: true})
  }
  return {boxes, close, make, of}
}

async function startBox(
  {env, id}: BoxOrder,
  lent: Readonly<Record<string, string>>,
): Promise<ContainerBox> {
  const marks = {CONTAINER_ID: String(id), VAST_CONTAINERLABEL: `C.${id}`}
  const container = await startContainer({env: {...env, ...marks}, lent})
  const keys = container.at('/etc/ssh/client.pub')
  await writeFile(keys, '')
  let isOpen = true
  return {
    authorize: (publicKey) => appendFile(keys, `${publicKey}\n`),
    async close() {
      if (isOpen) await container.close()
      isOpen = false
    },
    container,
    execute: async (command) => {
      try {
        return container.run(...command.split(' '))
      } catch (error) {
        return (error as {stdout?: string}).stdout ?? ''
      }
    },
    host: '127.0.0.1',
    log: () => `host key ${container.hostKeyLine}\n`,
    port: container.port,
  }
}
