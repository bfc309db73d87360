// Icons that JupyterLab does not have.
import { LabIcon } from '@jupyterlab/ui-components';

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
