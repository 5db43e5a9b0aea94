import {openBox, type ReceiptSettings} from './hibernate-open-box.js'
import type {HibernateParts} from './hibernate-request.js'
import {takeSnapshot} from './hibernate-take.js'
import type {InstanceService} from './instance-service.js'
import {openWakeParts} from './wake-parts.js'

/** The real parts of a hibernation. */
export function openHibernateParts(
  service: InstanceService,
  settings: ReceiptSettings,
): HibernateParts {
  const parts = openWakeParts(service)
  const opening = {
    probe: (...question: Parameters<typeof parts.probe>) => parts.probe(...question),
    service,
    settings,
  }
  return {
    open: (question, request, signal) => openBox(question, request, opening, signal),
    take: (request, signal) => takeSnapshot(request, service, signal),
  }
}
