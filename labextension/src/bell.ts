// The panel's button that switches notifications of long runs on and off.
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';

import { bellIcon } from './icons';
import { element, setAttribute } from './reconcile';

/** A button for the command; hidden while there is no such command. */
export function bellButton(
  commands: CommandRegistry,
  command: string,
  trans: TranslationBundle
): HTMLButtonElement {
  const button = element('button', 'jp-nbexec-iconbutton jp-nbexec-bell', bellIcon.element());
  button.type = 'button';
  button.setAttribute('aria-label', trans.__('Notify me when a long run of mine ends'));
  const refresh = (): void => {
    button.hidden = !commands.hasCommand(command);
    const isOn = !button.hidden && commands.isToggled(command);
    setAttribute(button, 'aria-pressed', String(isOn));
    button.title = isOn
      ? trans.__('You are notified when a long run of yours ends. Click to switch it off.')
      : trans.__('Notify me when a long run of mine ends');
  };
  button.addEventListener('click', () => void commands.execute(command));
  commands.commandChanged.connect(refresh);
  refresh();
  return button;
}
