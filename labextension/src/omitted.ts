// What stands for output that was left out of a runaway cell: how much it is, and a link to all of it.
import { URLExt } from '@jupyterlab/coreutils';
import type * as nbformat from '@jupyterlab/nbformat';
import type { IOutputAreaModel } from '@jupyterlab/outputarea';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';

import { field } from './json';

/** Known to this extension's pages alone; documents and files hold plain text in its place. */
const MIME_TYPE = 'application/vnd.notebook-exec.omitted+json';

/** An output as it is shown: the server's notice (SPEC O15) can be rendered with its link. */
export function withLink(output: nbformat.IOutput): nbformat.IOutput {
  const notice = field(output.metadata, 'notebook_exec');
  const bytes = field(notice, 'omitted_bytes');
  const id = field(notice, 'execution_id');
  return output.output_type === 'display_data' &&
    typeof bytes === 'number' &&
    typeof id === 'string'
    ? {
        ...output,
        data: { ...(output.data as nbformat.IMimeBundle), [MIME_TYPE]: { bytes, id } }
      }
    : output;
}

/** Whether any output of a cell is such a notice. */
export function hasNotice(outputs: IOutputAreaModel): boolean {
  for (let index = 0; index < outputs.length; index++) {
    if (field(outputs.get(index).metadata, 'notebook_exec') !== undefined) {
      return true;
    }
  }
  return false;
}

/** Renders the notice, in all notebooks. */
export function omittedRenderer(
  settings: ServerConnection.ISettings,
  trans: TranslationBundle
): IRenderMime.IRendererFactory {
  return {
    safe: true,
    mimeTypes: [MIME_TYPE],
    defaultRank: 10,
    createRenderer: () => new OmittedNotice(settings, trans)
  };
}

class OmittedNotice extends Widget implements IRenderMime.IRenderer {
  constructor(settings: ServerConnection.ISettings, trans: TranslationBundle) {
    super();
    this.addClass('jp-nbexec-omitted');
    this._settings = settings;
    this._trans = trans;
    this._link.textContent = trans.__('Download all of it');
    this._link.target = '_blank';
    this._link.rel = 'noopener';
    this.node.setAttribute('role', 'note');
    this.node.append(this._text, this._link);
  }

  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const data: unknown = model.data[MIME_TYPE];
    const bytes = field(data, 'bytes');
    const id = field(data, 'id');
    this._text.textContent = this._trans.__(
      '%1 of output are left out here.',
      amount(typeof bytes === 'number' ? bytes : 0)
    );
    const route = `api/executions/${encodeURIComponent(String(id))}/log`;
    this._link.href = URLExt.join(this._settings.baseUrl, route);
    this._link.download = `output-${String(id)}.txt`;
    return Promise.resolve();
  }

  private readonly _settings: ServerConnection.ISettings;
  private readonly _trans: TranslationBundle;
  private readonly _text = document.createElement('span');
  private readonly _link = document.createElement('a');
}

function amount(bytes: number): string {
  return bytes >= 2 ** 20
    ? `${(bytes / 2 ** 20).toFixed(1)} MiB`
    : bytes >= 2 ** 10
      ? `${(bytes / 2 ** 10).toFixed(1)} KiB`
      : `${bytes} B`;
}
