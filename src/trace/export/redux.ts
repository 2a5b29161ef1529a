// A short run as Redux DevTools import it: the lifted state of @redux-devtools/instrument, with every event as an
// action and every state computed already, so that the slider travels in time.

import type { Recorded } from '../../machine/events.ts';

/** Every state is written out in full. */
export const MOST_REDUX_EVENTS = 1000;

/**
 * @param stateAt the state after an event as plain data, -1 for before the first
 * @throws RangeError for a run too long to be written out state by state
 */
export function reduxDocument(events: readonly Recorded[], stateAt: (seq: number) => unknown) {
  if (events.length > MOST_REDUX_EVENTS) {
    throw new RangeError(
      `${events.length} events are more than the ${MOST_REDUX_EVENTS} that Redux DevTools can hold`,
    );
  }
  const actions: readonly { readonly type: string }[] = [{ type: '@@INIT' }, ...events];
  const ids = actions.map((_, id) => id);
  return {
    actionsById: Object.fromEntries(
      actions.map((action, id) => [
        id,
        { type: 'PERFORM_ACTION', action, timestamp: events[id - 1]?.at ?? 0 },
      ]),
    ),
    computedStates: ids.map((id) => ({ state: stateAt(id - 1) })),
    committedState: null,
    currentStateIndex: actions.length - 1,
    monitorState: {},
    nextActionId: actions.length,
    skippedActionIds: [],
    stagedActionIds: ids,
  };
}
