import { describe, expect, it } from 'vitest';
import { createBus, HandlerError } from '../../src/bus/bus.ts';

type Knock = { readonly type: 'knocked'; readonly door: number };
type Opening = { readonly type: 'opened'; readonly door: number };
type Event = Knock | Opening;

/** A bus that numbers what it publishes. */
function numberedBus() {
  return createBus<Event, Event & { readonly seq: number }>({
    accept: () => {},
    published: (event, seq) => ({ ...event, seq }),
  });
}

describe('the bus', () => {
  it('gives a handler the events of its types, in order', () => {
    const bus = numberedBus();
    const heard: string[] = [];
    bus.handle(['knocked', 'opened'], ({ type }) => heard.push(`${bus.seq} ${type}`));

    bus.emit({ type: 'knocked', door: 1 }, null);
    bus.emit({ type: 'opened', door: 1 }, null);

    expect(heard).toEqual(['0 knocked', '1 opened']);
  });

  it('delivers an event to everyone before the events that it led to', () => {
    const bus = numberedBus();
    const order: string[] = [];
    bus.handle(['knocked'], ({ door }) => {
      bus.emit({ type: 'opened', door }, null);
      order.push(`first hears knock ${door}`);
    });
    bus.handle(['knocked'], ({ door }) => order.push(`second hears knock ${door}`));
    bus.handle(['opened'], ({ door }) => order.push(`opened ${door}`));

    bus.emit({ type: 'knocked', door: 1 }, null);

    expect(order).toEqual(['first hears knock 1', 'second hears knock 1', 'opened 1']);
  });

  it('keeps nested emissions in the order in which they were made, whatever their depth', () => {
    const bus = numberedBus();
    const published: string[] = [];
    bus.all.subscribe(({ type, door }) => published.push(`${type} ${door}`));
    bus.handle(['knocked'], ({ door }) => {
      bus.emit({ type: 'opened', door: door * 10 }, null);
      if (door < 3) bus.emit({ type: 'knocked', door: door + 1 }, null);
      bus.emit({ type: 'opened', door: door * 10 + 1 }, null);
    });

    bus.emit({ type: 'knocked', door: 1 }, null);

    expect(published).toEqual([
      'knocked 1',
      'opened 10',
      'knocked 2',
      'opened 11',
      'opened 20',
      'knocked 3',
      'opened 21',
      'opened 30',
      'opened 31',
    ]);
  });

  it('does not grow the stack with a chain of events', () => {
    const bus = numberedBus();
    let last = 0;
    bus.handle(['knocked'], ({ door }) => {
      last = door;
      if (door < 20_000) bus.emit({ type: 'knocked', door: door + 1 }, null);
    });

    bus.emit({ type: 'knocked', door: 1 }, null);

    expect(last).toBe(20_000);
  });

  it('types a topic by the event it carries', () => {
    const bus = numberedBus();
    const doors: number[] = [];
    // `door` would not type-check if the topic carried the whole union under another name.
    bus.on('opened').subscribe(({ type, door }: Opening & { seq: number }) => {
      doors.push(type === 'opened' ? door : -1);
    });

    bus.emit({ type: 'knocked', door: 1 }, null);
    bus.emit({ type: 'opened', door: 2 }, null);

    expect(doors).toEqual([2]);
  });
});

describe('a handler that throws', () => {
  it('stops the run, and the error names the event, its seq and the reason', () => {
    const bus = numberedBus();
    bus.handle(['knocked'], ({ door }) => bus.emit({ type: 'opened', door }, null));
    bus.handle(['opened'], () => {
      throw new Error('the hinge is broken');
    });

    const run = (): void => bus.emit({ type: 'knocked', door: 4 }, null);

    expect(run).toThrow(HandlerError);
    expect(run).toThrow("a handler of 'opened' (seq 3) failed: the hinge is broken");
  });

  it('drops what was queued behind it, so that nothing of a broken run goes on', () => {
    const bus = numberedBus();
    const opened: number[] = [];
    bus.handle(['opened'], ({ door }) => opened.push(door));
    bus.handle(['knocked'], ({ door }) => {
      bus.emit({ type: 'opened', door }, null);
      if (door === 1) throw new Error('nobody home');
    });

    expect(() => bus.emit({ type: 'knocked', door: 1 }, null)).toThrow(HandlerError);
    bus.emit({ type: 'knocked', door: 2 }, null);

    expect(opened).toEqual([2]);
  });

  it('keeps the first error if several handlers of one event throw', () => {
    const bus = numberedBus();
    for (const reason of ['first', 'second']) {
      bus.handle(['knocked'], () => {
        throw new Error(reason);
      });
    }

    expect(() => bus.emit({ type: 'knocked', door: 1 }, null)).toThrow(/failed: first$/);
  });
});
