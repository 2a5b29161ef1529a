// A plugin of Stryker that leaves the words of errors alone: tests check that an error names what is wrong, not
// every letter of it.

/** Functions whose first argument is what an error calls the value. */
const NAMED_BY_FIRST_ARGUMENT = new Set(['field', 'checked', 'checkedField', 'checkField', 'checkFlag']);

const REASON = 'the words of an error';

/**
 * As much of a node of Babel as is looked at.
 * @typedef {{ type: string, name?: string, callee?: Node, arguments?: readonly Node[], body?: readonly Node[] }} Node
 */

/** @param {{ node: Node, parent?: Node | null }} path @returns {string | undefined} why no mutant stands there */
function shouldIgnore({ node, parent }) {
  if (node.type === 'NewExpression' && node.callee?.name === 'RangeError') return REASON;
  const wordsOfThrow =
    node.type === 'VariableDeclaration' && parent?.body?.at?.(-1)?.type === 'ThrowStatement';
  const isName = node.type === 'StringLiteral' && parent?.arguments?.[0] === node;
  return wordsOfThrow || (isName && NAMED_BY_FIRST_ARGUMENT.has(parent.callee?.name ?? ''))
    ? REASON
    : undefined;
}

export const strykerPlugins = [{ kind: 'Ignore', name: 'messages', value: { shouldIgnore } }];
