// Long streams are shown in blocks: what is printed then costs the last block's drawing, not the whole text's.
import { RenderedCommon, renderError, renderText } from '@jupyterlab/rendermime';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';

import { ITextBlock, inBlocks } from './textblocks';

const STDOUT = 'application/vnd.jupyter.stdout';
const STDERR = 'application/vnd.jupyter.stderr';

/** In place of JupyterLab's renderers of streams, at their ranks. */
export const streamRenderers: readonly IRenderMime.IRendererFactory[] = [
  {
    safe: true,
    mimeTypes: [STDERR],
    defaultRank: 110,
    createRenderer: options => new RenderedStream(options)
  },
  {
    safe: true,
    mimeTypes: [STDOUT],
    defaultRank: 120,
    createRenderer: options => new RenderedStream(options)
  }
];

/** A short text is what JupyterLab makes of it; a long one is the like of it for each block. */
class RenderedStream extends RenderedCommon {
  constructor(options: IRenderMime.IRendererOptions) {
    super(options);
    this.addClass('jp-RenderedText');
  }

  /** What is shown stays as far as it is the same. */
  override renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    return super.renderModel(model, true);
  }

  async render(model: IRenderMime.IMimeModel): Promise<void> {
    const data = model.data[this.mimeType];
    const text = typeof data === 'string' ? data : '';
    const blocks = inBlocks(text, this._blocks);
    if (blocks.length === 0) {
      this._blocks = blocks;
      await this._draw(this.node, text);
    } else {
      await this._drawBlocks(blocks);
    }
  }

  private async _drawBlocks(blocks: readonly ITextBlock[]): Promise<void> {
    const before = this._blocks;
    this._blocks = blocks;
    if (before.length === 0) {
      this.node.replaceChildren();
    }
    while (this.node.childNodes.length > blocks.length) {
      this.node.lastChild?.remove();
    }
    const drawn: Promise<void>[] = [];
    blocks.forEach((block, index) => {
      if (block !== before[index]) {
        const host = (this.node.children[index] as HTMLElement | undefined) ?? this._addHost();
        host.style.setProperty('--nbexec-lines', String(block.lines));
        drawn.push(this._draw(host, block.codes + block.text));
      }
    });
    await Promise.all(drawn);
  }

  private _addHost(): HTMLElement {
    const host = document.createElement('div');
    host.className = 'jp-nbexec-block';
    this.node.append(host);
    return host;
  }

  private _draw(host: HTMLElement, source: string): Promise<void> {
    host.replaceChildren();
    const { sanitizer, translator, resolver, linkHandler } = this;
    return this.mimeType === STDERR
      ? renderError({ host, sanitizer, source, translator, resolver, linkHandler })
      : renderText({ host, sanitizer, source, translator });
  }

  private _blocks: readonly ITextBlock[] = [];
}
