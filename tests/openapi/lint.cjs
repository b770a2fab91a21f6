// SPDX-License-Identifier: Apache-2.0
// Lint docs/openapi.yaml with Redocly's strictest rules, its examples against their schemas included. A warning is an error.
//   node lint.cjs FILE
'use strict';
const { createConfig, formatProblems, getTotals, lint } = require('@redocly/openapi-core');

const rules = {
  'no-invalid-schema-examples': { severity: 'error', allowAdditionalProperties: false },
  'no-invalid-parameter-examples': { severity: 'error', allowAdditionalProperties: false },
  'no-invalid-media-type-examples': { severity: 'error', allowAdditionalProperties: false },
  'component-name-unique': 'error',
  'operation-tag-defined': 'error',
  'operation-singular-tag': 'error',
  'parameter-description': 'error',
};

async function main(file) {
  const config = await createConfig({ extends: ['recommended-strict'], rules });
  const problems = await lint({ ref: file, config });
  const totals = getTotals(problems);
  if (problems.length > 0) {
    formatProblems(problems, { format: 'stylish', totals, version: '1', maxProblems: 100 });
    process.exitCode = 1;
  }
}

main(process.argv[2]);
