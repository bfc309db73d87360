// Requests to the server's HTTP interface, and answers read without trust in their shape.
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { ApiError } from './errors';

/**
 * The JSON that the server answers; undefined if it answers none.
 *
 * @param path - below the server's base URL
 * @throws ApiError if the server refuses; what `fetch` throws if it is out of reach
 */
export async function requestJson(
  settings: ServerConnection.ISettings,
  path: string,
  init: RequestInit
): Promise<unknown> {
  const response = await request(settings, path, init);
  return parse(await response.text());
}

/** The answer itself, where it is no JSON; throws as `requestJson` does. */
export async function request(
  settings: ServerConnection.ISettings,
  path: string,
  init: RequestInit
): Promise<Response> {
  const url = URLExt.join(settings.baseUrl, path);
  const response = await ServerConnection.makeRequest(url, init, settings);
  if (!response.ok) {
    const answer = parse(await response.text());
    throw new ApiError(
      textField(answer, 'message') || response.statusText,
      response.status,
      textField(answer, 'reason'),
      textField(answer, 'field')
    );
  }
  return response;
}

/** A field of what may be an object. */
export function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

/** A field of what may be an object, if it is a text; else an empty one. */
export function textField(value: unknown, name: string): string {
  const text = field(value, name);
  return typeof text === 'string' ? text : '';
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
