// The linter's rules: the recommended ones with types, and no `any`.
import js from '@eslint/js';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  {
    ignores: [
      '.venv/',
      'benchmarks/',
      'build/',
      'dist/',
      'lib/',
      'notebook_exec/labextension/',
      '**/node_modules/',
      'ui-tests/playwright-report/',
      '**/test-results/',
      '.run/'
    ]
  },
  js.configs.recommended,
  {
    files: ['labextension/**/*.ts', 'ui-tests/**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: {
        project: [
          './tsconfig.json',
          './labextension/tests/tsconfig.json',
          './ui-tests/tsconfig.json'
        ],
        tsconfigRootDir: import.meta.dirname
      }
    },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      // Lumino's signals take a method and its object apart: `connect(this._refresh, this)`.
      '@typescript-eslint/unbound-method': 'off',
      // node:test returns promises that its runner awaits.
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              name: ['test', 'describe', 'it'],
              package: 'node:test'
            }
          ]
        }
      ]
    }
  },
  {
    files: ['labextension/style/*.js'],
    languageOptions: { sourceType: 'module' }
  }
);
