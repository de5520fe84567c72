// The state as the monitor tells it: a snapshot, and then what changed.  Rows that did not change stay the same objects.

import type { Delta, EventShown, Snapshot } from "./state";

/** How many events are kept; the monitor sends no more either. */
const KEPT = 300;

/** The state after this delta; null if one before it was missed, so that a snapshot must be asked for. */
export function folded(state: Snapshot, delta: Delta): Snapshot | null {
  if (delta.version <= state.version) return state;
  if (delta.version > state.version + 1) return null;
  return {
    version: delta.version,
    head: delta.head ?? state.head,
    servers: rows(state.servers, delta.servers),
    services: rows(state.services, delta.services),
    passages: delta.passages ?? state.passages,
    events: events(state.events, delta.events),
  };
}

type Rows<Row> = Readonly<Record<string, Row>>;

function rows<Row>(before: Rows<Row>, changed: Rows<Row | null> | undefined): Rows<Row> {
  if (changed === undefined) return before;
  const after: Record<string, Row> = { ...before };
  for (const [name, row] of Object.entries(changed)) {
    if (row === null) delete after[name];
    else after[name] = row;
  }
  return after;
}

function events(before: readonly EventShown[], fresh: readonly EventShown[] | undefined): readonly EventShown[] {
  if (fresh === undefined || fresh.length === 0) return before;
  const renewed = new Set(fresh.map((event) => event.id));
  return [...before.filter((event) => !renewed.has(event.id)), ...fresh].slice(-KEPT);
}
