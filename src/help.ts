import {type Command, Help} from '@oclif/core'

const EXIT_CODES = `0 done · 1 a bug · 2 wrong flags or arguments, unknown snapshot · 3 done, but incomplete · 65 damaged or of a newer format · 69 cannot be reached · 70 the worker failed, or the box does not suit · 73 the target cannot be written · 75 try again later · 77 not allowed · 78 wrong configuration · 130 interrupted`

/** oclif's help with the exit codes, and with descriptions that fill the width of the terminal. */
// oxlint-disable-next-line import/no-default-export -- oclif loads it by that
export default class DumontHelp extends Help {
  override formatCommand(command: Command.Loadable): string {
    const {description} = command
    // The lines of the source are not those of the terminal; paragraphs stay.
    const filled = description?.replaceAll(/(?<!\n)\n(?!\n)/gu, ' ')
    const shown = filled === undefined ? command : {...command, description: filled}
    return `${super.formatCommand(shown)}\n\n${this.section('EXIT CODES', this.wrap(EXIT_CODES))}`
  }
}
