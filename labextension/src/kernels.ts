// A typed client of what the server tells of kernels beside Jupyter's own routes (SPEC A4, K3, K5).
import { URLExt } from '@jupyterlab/coreutils';
import type { ServerConnection } from '@jupyterlab/services';

import { request, requestJson } from './http';
import { field } from './json';

/** What this page must know of a kernel to offer the right things. */
export interface IKernelFacts {
  /** Whether a hard restart does more than one in place. */
  readonly canHardRestart: boolean;
  /** Whether its own stdout and stderr are kept. */
  readonly hasLog: boolean;
  /** What it runs in, in words; empty if that is nothing special. */
  readonly allocation: string;
}

/** Of a kernel that nothing is known of. */
export const UNKNOWN_KERNEL: IKernelFacts = {
  canHardRestart: false,
  hasLog: false,
  allocation: ''
};

/** A part of a kernel's log, still coming in. */
export interface ILogPart {
  /** How many bytes of the log lie before this part. */
  readonly offset: number;
  readonly body: ReadableStream<Uint8Array>;
}

export class KernelsApi {
  constructor(settings: ServerConnection.ISettings) {
    this._settings = settings;
  }

  /** @throws ApiError with status 404 if there is no such kernel */
  async facts(kernelId: string): Promise<IKernelFacts> {
    const [model, status] = await Promise.all(
      ['', '/status'].map(what => requestJson(this._settings, route(kernelId) + what, {}))
    );
    return {
      canHardRestart: field(model, 'hard_restart') === true,
      hasLog: (field(status, 'nanny') ?? null) !== null,
      allocation: inWords(field(status, 'allocation'))
    };
  }

  /** Gives back all that was started for the kernel, and starts it anew under its id. */
  async hardRestart(kernelId: string): Promise<void> {
    await requestJson(this._settings, `${route(kernelId)}/hard-restart`, { method: 'POST' });
  }

  /**
   * The log from `offset` (bytes) on, which goes on as it is written.
   *
   * @throws ApiError with status 404 if there is no such kernel, or no log of it
   */
  async followLog(kernelId: string, offset: number, signal: AbortSignal): Promise<ILogPart> {
    const response = await request(
      this._settings,
      `${route(kernelId)}/log?follow=1&offset=${offset}`,
      { signal, cache: 'no-store' }
    );
    const begin = Number(response.headers.get('X-Log-Offset') ?? offset);
    return {
      offset: Number.isFinite(begin) ? begin : offset,
      body: response.body ?? new ReadableStream({ start: controller => controller.close() })
    };
  }

  /** Where a browser finds all that is kept of the log, as a file. */
  logUrl(kernelId: string): string {
    return URLExt.join(this._settings.baseUrl, `${route(kernelId)}/log?download=1`);
  }

  private readonly _settings: ServerConnection.ISettings;
}

function route(kernelId: string): string {
  return `api/kernels/${encodeURIComponent(kernelId)}`;
}

/** What a launcher says of where it put a kernel: `slurm 4711 node3`. */
function inWords(allocation: unknown): string {
  return typeof allocation === 'object' && allocation !== null
    ? Object.values(allocation)
        .filter(value => typeof value === 'string' || typeof value === 'number')
        .join(' ')
    : '';
}
