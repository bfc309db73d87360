// Requests to the server's HTTP interface, and answers read without trust in their shape.
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { refusal } from './errors';
import { parseJson } from './json';

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
  return parseJson(await response.text());
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
    throw refusal(parseJson(await response.text()), response.status, response.statusText);
  }
  return response;
}
