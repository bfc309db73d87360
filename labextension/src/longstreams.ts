// Long streams are shown in blocks: what is printed then costs the last block's drawing, not the whole text's.
import { RenderedCommon, renderError, renderText } from '@jupyterlab/rendermime';
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';

import { ITextBlock, inBlocks } from './textblocks';

const STDOUT = 'application/vnd.jupyter.stdout';
const STDERR = 'application/vnd.jupyter.stderr';

/**
 * So many blocks are in or out of sight together: of what has `content-visibility`, each element is
 * looked at in each frame of the page.
 */
const GROUP_BLOCKS = 10;

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
    for (let index = before.length - 1; index >= blocks.length; index--) {
      this._removeHost(index);
    }
    const drawn: Promise<void>[] = [];
    blocks.forEach((block, index) => {
      if (block !== before[index]) {
        drawn.push(this._draw(this._host(index), block.codes + block.text));
      }
    });
    for (let first = 0; first < blocks.length; first += GROUP_BLOCKS) {
      const group = this.node.children[first / GROUP_BLOCKS] as HTMLElement;
      const lines = blocks
        .slice(first, first + GROUP_BLOCKS)
        .reduce((sum, block) => sum + block.lines, 0);
      group.style.setProperty('--nbexec-lines', String(lines));
    }
    await Promise.all(drawn);
  }

  private _host(index: number): HTMLElement {
    const group = childAt(this.node, Math.floor(index / GROUP_BLOCKS), 'jp-nbexec-blocks');
    return childAt(group, index % GROUP_BLOCKS, 'jp-nbexec-block');
  }

  /** The last one. */
  private _removeHost(index: number): void {
    const group = this.node.lastElementChild;
    (index % GROUP_BLOCKS === 0 ? group : group?.lastElementChild)?.remove();
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

/** Appended if it is the next one. */
function childAt(parent: HTMLElement, index: number, className: string): HTMLElement {
  const known = parent.children[index] as HTMLElement | undefined;
  if (known) {
    return known;
  }
  const made = document.createElement('div');
  made.className = className;
  parent.append(made);
  return made;
}
