// A translation into English, which is what the texts are written in.
import type { TranslationBundle } from '@jupyterlab/translation';

function filled(text: string, args: readonly unknown[]): string {
  return text.replace(/%(\d)/g, (_, place: string) => String(args[Number(place) - 1]));
}

export const english = {
  __: (text: string, ...args: unknown[]) => filled(text, args),
  _n: (one: string, many: string, n: number, ...args: unknown[]) =>
    filled(n === 1 ? one : many, [n, ...args])
} as unknown as TranslationBundle;
