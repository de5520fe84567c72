// The events before those that the page keeps, without a gap and each once: what was asked for, and what slid out of what is kept since.

import type { EventShown } from "./state";

/** How many are held, at most: as many as the monitor keeps. */
const HELD = 5_000;

export interface Past {
  /** Just before those that are kept, the oldest first. */
  readonly events: readonly EventShown[];
  /** Those that are kept, when this was made. */
  readonly kept: readonly EventShown[];
  /** Whether what slides out is held: only once somebody asked for what was before. */
  readonly wanted: boolean;
  /** Whether the monitor knows nothing before these. */
  readonly over: boolean;
}

export const NOTHING: Past = { events: [], kept: [], wanted: false, over: false };

/** The oldest event that the page has; undefined if it has none. */
export const oldest = (past: Past): EventShown | undefined => past.events[0] ?? past.kept[0];

/** The past of these, which are kept now.  If they do not join on to what was held, there is none: a gap would be hidden. */
export function followed(past: Past, kept: readonly EventShown[]): Past {
  if (kept === past.kept) return past;
  const held = [...past.events, ...past.kept];
  const joint = kept[0] === undefined ? -1 : held.findIndex((event) => event.id === kept[0]?.id);
  if (joint === -1) return { ...NOTHING, kept };
  const before = past.wanted ? held.slice(0, joint) : [];
  const events = before.slice(-HELD);
  return { events, kept, wanted: past.wanted, over: past.over && events.length === before.length };
}

/** With what the monitor told of the events before `asked`; not if that is no longer the oldest, as after the same question twice. */
export function told(past: Past, asked: string, events: readonly EventShown[], over: boolean): Past {
  return oldest(past)?.id === asked ? { ...past, events: [...events, ...past.events], over } : past;
}
