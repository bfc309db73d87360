// Icons that JupyterLab does not have; one of its own shape for each state: colour alone says nothing to many.
import { LabIcon } from '@jupyterlab/ui-components';

import type { ExecutionState } from './state';

function svg(inside: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">${inside}</svg>`;
}

/** Bars on a time axis. */
export const executionsIcon = new LabIcon({
  name: 'notebook-exec:executions',
  svgstr: svg(
    '<g class="jp-icon3" fill="#616161"><rect x="1.5" y="2.5" width="6.5" height="2.6" rx="1"/>' +
      '<rect x="5" y="6.7" width="7" height="2.6" rx="1"/>' +
      '<rect x="9.5" y="10.9" width="5" height="2.6" rx="1"/></g>'
  )
});

export const bellIcon = new LabIcon({
  name: 'notebook-exec:bell',
  svgstr: svg(
    '<path class="jp-icon3" fill="#616161" d="M8 1.8a1 1 0 0 0-1 1v.3A4 4 0 0 0 4 7v3l-1.3 1.6c-.3.4 0 .9.4.9h9.8c.5 0 .7-.5.4-.9L12 10V7a4 4 0 0 0-3-3.9v-.3a1 1 0 0 0-1-1zM6.4 13.2a1.6 1.6 0 0 0 3.2 0z"/>'
  )
});

const LINE = 'fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round"';

const SHAPES: Record<ExecutionState, string> = {
  queued: `<circle cx="8" cy="8" r="5.2" ${LINE} stroke-dasharray="1.6 2.5"/>`,
  running: `<circle cx="8" cy="8" r="5.8" ${LINE} stroke-dasharray="27 10"/><path fill="currentColor" d="M6.6 5.6v4.8L10.6 8z"/>`,
  waiting_input:
    '<path fill="currentColor" fill-rule="evenodd" d="M8 1.6a6.4 6.4 0 1 0 0 12.8A6.4 6.4 0 0 0 8 1.6zM8 4.2c1.5 0 2.6.9 2.6 2.2 0 1-.6 1.5-1.1 1.9-.5.4-.7.6-.7 1.1H7.2c0-1.2.6-1.7 1.1-2.1.4-.3.6-.5.6-.9 0-.5-.4-.8-.9-.8-.6 0-1 .4-1 1H5.4C5.4 5.2 6.5 4.2 8 4.2zM7.1 10.4h1.8v1.7H7.1z"/>',
  finished: `<path ${LINE} stroke-linejoin="round" d="M3.6 8.6l3 3 5.8-7"/>`,
  failed:
    '<path fill="currentColor" fill-rule="evenodd" d="M8 1.6a6.4 6.4 0 1 0 0 12.8A6.4 6.4 0 0 0 8 1.6zM5.9 4.8 8 6.9l2.1-2.1 1.1 1.1L9.1 8l2.1 2.1-1.1 1.1L8 9.1l-2.1 2.1-1.1-1.1L6.9 8 4.8 5.9z"/>',
  cancelled: `<circle cx="8" cy="8" r="5.4" ${LINE}/><path ${LINE} d="M4.4 11.6l7.2-7.2"/>`,
  lost: '<path fill="currentColor" fill-rule="evenodd" d="M8 1.8 15 14H1zM7.2 6.2h1.6v4H7.2zm0 4.9h1.6v1.6H7.2z"/>'
};

const STATE_ICONS = new Map<ExecutionState, LabIcon>();

/** The icon of a state, drawn in the text's colour. */
export function stateIcon(state: ExecutionState): LabIcon {
  let icon = STATE_ICONS.get(state);
  if (!icon) {
    icon = new LabIcon({ name: `notebook-exec:state-${state}`, svgstr: svg(SHAPES[state]) });
    STATE_ICONS.set(state, icon);
  }
  return icon;
}

/** JupyterLab's restart, with a bolt in it. */
export const hardRestartIcon = new LabIcon({
  name: 'notebook-exec:hard-restart',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M12 3a9 9 0 1 0 8.5 12h-2.15A7 7 0 1 1 17 7.1L14 10h7V3l-2.6 2.6A9 9 0 0 0 12 3z"/>
    <path d="M12.8 8 8.6 13.4h2.7L10.6 17l4.3-5.5h-2.8z"/>
  </g>
</svg>
`
});
